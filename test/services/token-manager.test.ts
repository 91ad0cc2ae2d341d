import { expect, it } from '@jest/globals';
import type { Fault } from '../../dev/intuit-simulator/faults.ts';
import type { Context } from '../../src/context.ts';
import type { ActiveConnection, Ciphertext, RealmId } from '../../src/models/connection.ts';
import type { AccountingStrategy } from '../../src/strategies/accounting-strategy.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { codeOf, HOURS, MINUTES, SECONDS, useHarness } from '../support/harness.ts';
import { until } from '../support/until.ts';

const TIMEOUT_MS = 10 * SECONDS;

describeEachDatabase('a token manager', (createDatabase) => {
  const harness = useHarness(createDatabase, { frozen: true, env: { PROVIDER_TIMEOUT_MS: String(TIMEOUT_MS) } });
  const accessToken = (organization: string, { tokenManager }: Context = harness.home) =>
    tokenManager.accessToken(harness.key(organization));
  const issuedTokens = (realmId: string) => harness.simulator.grantFor(realmId)?.accessTokens ?? [];

  it('returns a fresh token by one SELECT, without a write or a call', async () => {
    const realmId = await harness.connect('fresh');
    const before = await harness.row('fresh');
    harness.clock.advance(1 * HOURS - 5 * MINUTES - 1 * SECONDS);
    harness.queries.splice(0);

    const opened = await accessToken('fresh');
    expect(harness.queries).toEqual([expect.stringMatching(/^select .* in \(\?\) and [^()]+$/i)]);
    expect(issuedTokens(realmId)).toEqual([opened.accessToken]);
    expect(opened.connection.realmId).toBe(realmId);
    expect(await harness.row('fresh')).toEqual(before);
    expect(harness.simulator.calls).toEqual([]);
  });

  it('returns an ageing token without waiting, and refreshes it in the background', async () => {
    const realmId = await harness.connect('ageing');
    const [ageing] = issuedTokens(realmId);
    const release = harness.simulator.hold({ on: 'token', kind: 'slow' });
    harness.clock.advance(1 * HOURS - 5 * MINUTES);
    expect((await accessToken('ageing')).accessToken).toBe(ageing);
    expect(issuedTokens(realmId)).toEqual([ageing]); // the refresh is not done yet

    release();
    await harness.home.backgroundTasks.drain();
    const { accessToken: refreshed } = await accessToken('ageing');
    expect(issuedTokens(realmId)).toEqual([ageing, refreshed]);
    expect(harness.refreshes()).toBe(1);
  });

  it('waits for the refresh of an expired token', async () => {
    const realmId = await harness.connect('expired');
    harness.clock.advance(2 * HOURS);
    expect(issuedTokens(realmId)).toEqual([]);
    const opened = await accessToken('expired');
    expect(issuedTokens(realmId)).toEqual([opened.accessToken]);
    expect(opened.connection).toMatchObject({ realmId, generation: 1 });
  });

  it('makes one token call for 300 callers of an expired connection', async () => {
    await harness.connect('crowd');
    harness.clock.advance(2 * HOURS);
    const opened = await Promise.all(Array.from({ length: 300 }, () => accessToken('crowd')));
    expect(new Set(opened.map((each) => each.accessToken)).size).toBe(1);
    expect(harness.refreshes()).toBe(1);
  });

  it('refreshes different connections at the same time', async () => {
    const organizations = ['a', 'b', 'c', 'd'];
    for (const organization of organizations) await harness.connect(organization);
    const release = harness.simulator.hold({ on: 'token', kind: 'slow', times: 4 });
    harness.clock.advance(2 * HOURS);
    const opened = organizations.map((organization) => accessToken(organization));
    await until(() => harness.refreshes() === 4); // none of them has returned
    release();
    await Promise.all(opened);
    expect(harness.refreshes()).toBe(4);
  });

  it('rejects with connection_not_found without a connection, and after a disconnect', async () => {
    await harness.connect('gone');
    await harness.disconnect('gone');
    expect(await codeOf(accessToken('gone'))).toBe('connection_not_found');
    expect(await codeOf(accessToken('never'))).toBe('connection_not_found');
  });

  it('rejects with reauthorization_required if the connection is lost, without a call', async () => {
    await harness.connect('lost');
    await harness.deactivate('lost');
    expect(await codeOf(accessToken('lost'))).toBe('reauthorization_required');
    expect(harness.simulator.calls).toEqual([]);
  });

  it.each<[string, Omit<Fault, 'on'>]>([
    ['is down', { kind: 'status', status: 503 }],
    ['hangs', { kind: 'hang' }],
    ['breaks off', { kind: 'drop_before' }],
    ['returns a page', { kind: 'html' }],
    ['rejects this service', { kind: 'invalid_client' }],
  ])('returns a token that is still valid while Intuit %s, and calls Intuit once', async (name, fault) => {
    for (const leftMs of [4 * MINUTES, 20 * SECONDS]) {
      const organization = `${leftMs}-${name}`.replaceAll(' ', '-');
      const realmId = await harness.connect(organization);
      const issued = issuedTokens(realmId);
      harness.simulator.fail({ on: 'token', times: null, ...fault });
      harness.clock.advance(1 * HOURS - leftMs);
      const first = accessToken(organization);
      await until(() => harness.refreshes() === 1);
      harness.clock.advance(100); // how long a caller with a valid token waits for a refresh
      for (const opened of [await first, await accessToken(organization)]) {
        expect([opened.accessToken]).toEqual(issued);
      }
      expect(harness.refreshes()).toBe(1);
      harness.clock.advance(TIMEOUT_MS);
      await harness.home.backgroundTasks.drain();
      harness.simulator.clearFaults();
    }
  });

  it('waits for the refresh of a token that expires while its caller waits', async () => {
    const realmId = await harness.connect('last-moment');
    const release = harness.simulator.hold({ on: 'token', kind: 'slow' });
    harness.clock.advance(1 * HOURS - 50); // less than a caller with a valid token waits
    const waiting = accessToken('last-moment');
    await until(() => harness.refreshes() === 1);
    harness.clock.advance(5 * SECONDS);
    release();
    const opened = await waiting;
    expect(issuedTokens(realmId).at(-1)).toBe(opened.accessToken);
    expect(opened.connection.generation).toBe(1);
  });

  it('rejects with provider_unavailable after 1.8 timeouts if another process is still refreshing', async () => {
    await harness.connect('held');
    harness.clock.advance(2 * HOURS);
    await holdLease('held');
    let isWaiting = true;
    const code = codeOf(accessToken('held')).finally(() => {
      isWaiting = false;
    });
    await looked();
    harness.clock.advance(1 * TIMEOUT_MS);
    await looked();
    expect(isWaiting).toBe(true);
    harness.clock.advance(0.8 * TIMEOUT_MS);
    expect(await code).toBe('provider_unavailable');
    expect(harness.refreshes()).toBe(0);
    await harness.disconnect('held'); // ends the refresh that the caller left
  });

  it('logs an internal fault of a background refresh as one error line', async () => {
    await harness.connect('faulty');
    const strategy = overriding(harness.home.strategies.get('quickbooks'), {
      refresh: async () => {
        throw new TypeError('a fault of this service');
      },
    });
    const replica = await harness.replica({ strategies: [strategy] });
    harness.clock.advance(1 * HOURS - 2 * MINUTES);
    const before = harness.logs.length;
    expect(await codeOf(accessToken('faulty', replica))).toBe('it succeeded');
    await replica.backgroundTasks.drain();
    expect(harness.logs.slice(before).map((line) => JSON.parse(line))).toMatchObject([
      { level: 50, event: 'token.refresh.internal_error', organization_id: 'faulty' },
    ]);
  });

  it('replaces a rejected token by a refresh', async () => {
    const realmId = await harness.connect('rejected');
    const { connection } = await accessToken('rejected');
    const replaced = await harness.home.tokenManager.replaceRejected(connection);
    expect(issuedTokens(realmId).at(-1)).toBe(replaced.accessToken);
    expect([replaced.connection.generation, harness.refreshes()]).toEqual([1, 1]);
  });

  it('replaces a rejected token without a call if it was refreshed meanwhile', async () => {
    const realmId = await harness.connect('replaced');
    const { connection } = await accessToken('replaced');
    await harness.home.tokenManager.refresh(connection);
    const replaced = await harness.home.tokenManager.replaceRejected(connection);
    expect(issuedTokens(realmId).at(-1)).toBe(replaced.accessToken);
    expect(harness.refreshes()).toBe(1);
  });

  it('does not refresh a connection for 10 seconds after its new token was rejected', async () => {
    await harness.connect('cooled');
    const { connection } = await accessToken('cooled');
    harness.home.tokenManager.coolDown(connection);
    expect(await codeOf(harness.home.tokenManager.replaceRejected(connection))).toBe('provider_error');
    expect(harness.refreshes()).toBe(0);
    harness.clock.advance(10 * SECONDS);
    expect(await codeOf(harness.home.tokenManager.replaceRejected(connection))).toBe('it succeeded');
  });

  it('refreshes nothing once it is stopped, and still returns a valid token', async () => {
    await harness.connect('stopped');
    const replica = await harness.replica();
    replica.tokenManager.stop();
    harness.clock.advance(1 * HOURS - 2 * MINUTES);
    expect(await codeOf(accessToken('stopped', replica))).toBe('it succeeded');
    harness.clock.advance(1 * HOURS);
    expect(await codeOf(accessToken('stopped', replica))).toBe('provider_unavailable');
    expect(harness.refreshes()).toBe(0);
  });

  /** Lets another process hold the lease for a minute. */
  async function holdLease(organization: string): Promise<void> {
    const connection = (await harness.home.tokens.findCurrent(harness.key(organization))) as ActiveConnection;
    const lease = { owner: 'another process', leaseMs: 1 * MINUTES, nextMaintenanceAt: harness.clock.now() };
    expect(await harness.home.refreshes.acquireLease(connection, lease)).toBe(true);
  }

  /** Resolves once the row was read again. */
  async function looked(): Promise<void> {
    const before = harness.queries.length;
    await until(() => harness.queries.length > before);
  }
});

describeEachDatabase('stored tokens', (createDatabase) => {
  const harness = useHarness(createDatabase, { isolated: true, frozen: true });

  it.each<[string, () => Promise<object>]>([
    ['another row’s ciphertexts', async () => tokensOf('other')],
    [
      'another row’s ciphertexts and digest',
      async () => ({ ...(await tokensOf('other')), ...(await digestOf('other')) }),
    ],
    [
      'a refresh token in the access token’s column',
      async () => ({ access_token: (await tokensOf('acme')).refresh_token }),
    ],
    [
      'its two ciphertexts exchanged',
      async () => {
        const { access_token, refresh_token } = await tokensOf('acme');
        return { access_token: refresh_token, refresh_token: access_token };
      },
    ],
    ['another company', async () => ({ realm_id: '4711' as RealmId })],
    ['text that is no ciphertext', async () => ({ refresh_token: 'gAAAAAnonsense' as Ciphertext })],
    ['no digest', async () => ({ token_digest: null })],
  ])('are neither decrypted nor sent if the row was given %s', async (_, columns) => {
    await harness.connect('other');
    await harness.connect('acme');
    await harness.set('acme', await columns());
    const before = await harness.row('acme');
    expect(await codeOf(harness.use('acme'))).toBe('TokenBindingError');
    await harness.expire('acme');
    expect(await codeOf(harness.use('acme'))).toBe('TokenBindingError');
    expect(harness.simulator.calls).toEqual([]);
    const { access_token_expires_at: _expiry, ...unchanged } = before;
    expect(await harness.row('acme')).toMatchObject({ ...unchanged, is_active: 1, refresh_lease_owner: null });
    expect(await harness.use('other')).toBe(200); // no other organization is affected
  });

  it('that are not the row’s own cause a 500 and an error line', async () => {
    await harness.connect('acme');
    await harness.set('acme', { token_digest: null });
    const before = harness.logs.length;
    const response = await harness.service.http.get('/api/v1/quickbooks/acme/invoice/1');
    expect([response.status, response.body.code]).toEqual([500, 'internal_error']);
    const errors = harness.logs
      .slice(before)
      .map((line) => JSON.parse(line))
      .filter(({ level }) => level >= 50);
    expect(errors).toMatchObject([{ err: { type: 'TokenBindingError' } }]);
    expect(harness.simulator.calls).toEqual([]);
  });

  async function tokensOf(organization: string) {
    const { access_token, refresh_token } = await harness.row(organization);
    return { access_token, refresh_token };
  }

  async function digestOf(organization: string) {
    return { token_digest: (await harness.row(organization)).token_digest };
  }
});

/** A strategy, some of its methods replaced. */
function overriding(strategy: AccountingStrategy, methods: Partial<AccountingStrategy>): AccountingStrategy {
  return Object.assign(Object.create(strategy), methods);
}
