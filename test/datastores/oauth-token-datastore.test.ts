import { randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import type { EndedConnection } from '../../src/datastores/oauth-token-datastore.ts';
import type {
  Ciphertext,
  Connection,
  EncryptedTokens,
  NewConnection,
  OrganizationId,
  RealmId,
} from '../../src/models/connection.ts';
import { createSqlite, describeEachDatabase } from '../support/databases.ts';
import { codeOf, HOURS, SECONDS, useHarness } from '../support/harness.ts';
import { rowOf } from '../support/rows.ts';

const TOKENS: EncryptedTokens = {
  accessToken: 'the access token’s ciphertext' as Ciphertext,
  accessTokenExpiresAt: new Date('2026-02-10T15:00:00.456Z'),
  refreshToken: 'the refresh token’s ciphertext' as Ciphertext,
  refreshTokenExpiresAt: new Date('2026-05-21T14:00:00.789Z'),
  isRefreshExpiryAssumed: false,
  authorizationExpiresAt: new Date('2031-02-10T14:00:00.001Z'),
  digest: 'd'.repeat(43),
};

describeEachDatabase('OAuthTokenDatastore', (createDatabase) => {
  const harness = useHarness(createDatabase, { frozen: true, isolated: true });

  it('returns a connection as it was stored', async () => {
    const connection = connectionOf();
    await replace(connection);
    const { intuitTid, ...stored } = connection;
    expect(await find()).toEqual({
      ...stored,
      state: 'active',
      generation: 0,
      lastRefreshedAt: undefined,
      refresh: { owner: undefined, takeoverOwner: undefined, startedAt: undefined, failures: 0, isFailing: false },
      maintenance: {
        nextAt: later(),
        recoveryAttempts: 0,
        expiryNotifiedAt: undefined,
        companyReadAt: connection.lastVerifiedAt,
      },
    });
    expect(await harness.row('acme')).toMatchObject({ last_intuit_tid: intuitTid });
  });

  it('stores a connection without what the provider may omit', async () => {
    const tokens = { ...TOKENS, authorizationExpiresAt: undefined, isRefreshExpiryAssumed: true };
    await replace(connectionOf({ companyName: undefined, lastVerifiedAt: undefined, intuitTid: undefined, tokens }));
    expect(await find()).toMatchObject({ companyName: undefined, lastVerifiedAt: undefined, tokens });
    expect(await harness.row('acme')).toMatchObject({ company_name: null, last_intuit_tid: null });
  });

  it('stores identifiers and tokens of the maximum length', async () => {
    const organizationId = 'x'.repeat(36) as OrganizationId;
    const names = { organizationId, realmId: '9'.repeat(32) as RealmId, companyName: '😀'.repeat(255) };
    const accessToken = 'a'.repeat(22_000) as Ciphertext;
    await replace(connectionOf({ ...names, tokens: { ...TOKENS, accessToken } }));
    expect(await find(organizationId)).toMatchObject({ ...names, tokens: { accessToken } });
  });

  it('finds the connection of exactly this organization and accounting system', async () => {
    await replace(connectionOf());
    expect(await find('ACME')).toBeUndefined();
    expect(await harness.home.tokens.findCurrent({ ...harness.key('acme'), system: 'ledgerly' })).toBeUndefined();
  });

  it('replaces the current connection, which keeps no ciphertext', async () => {
    await replace(connectionOf());
    const storedAt = harness.clock.now();
    harness.clock.advance(5 * SECONDS);
    await replace(connectionOf({ realmId: '2' as RealmId }));
    const rows = await harness.rows('acme');
    expect(rows).toMatchObject([
      {
        is_active: 0,
        realm_id: '1',
        deactivation_reason: 'replaced',
        access_token: '',
        refresh_token: '',
        token_digest: null,
        next_maintenance_at: null,
        generation: 1,
      },
      { is_active: 1, realm_id: '2', deactivation_reason: null, deactivated_at: null, generation: 0 },
    ]);
    const [replaced] = rows;
    const instants = [replaced?.created_at, replaced?.deactivated_at, replaced?.updated_at];
    const now = harness.clock.now();
    expect(instants.map((instant) => new Date(instant ?? 0))).toEqual([storedAt, now, now]);
  });

  it('returns the replaced grant to be revoked, unless the new connection is for the same company', async () => {
    expect(await replace(connectionOf())).toMatchObject({ event: { type: 'connected' }, revocation: undefined });
    expect(await replace(connectionOf())).toMatchObject({
      event: { type: 'reconnected', actor: 'billing', realmId: '1' },
      revocation: undefined,
    });
    expect(await replace(connectionOf({ realmId: '2' as RealmId }))).toMatchObject({
      event: { type: 'reconnected', realmId: '2' },
      revocation: { realmId: '1', refreshToken: TOKENS.refreshToken },
    });
    expect(await harness.pendingRevocations()).toMatchObject([{ realm_id: '1' }]);
  });

  it('leaves the current connection as it is if the next one cannot be stored', async () => {
    await replace(connectionOf());
    const before = await harness.rows('acme');
    const impossible = connectionOf({ tokens: { ...TOKENS, accessToken: null as unknown as Ciphertext } });
    const error = await replace(impossible).catch((thrown) => thrown);
    expect(error).toMatchObject({ name: 'DatabaseError' });
    expect(`${error.stack}${JSON.stringify(error)}`).not.toContain('ciphertext');
    expect(await harness.rows('acme')).toEqual(before);
  });

  it('disconnects once, and returns the grant to be revoked', async () => {
    await replace(connectionOf());
    expect(await disconnect()).toMatchObject({
      event: { type: 'disconnected', actor: 'billing', realmId: '1' },
      revocation: { realmId: '1', refreshToken: TOKENS.refreshToken },
    });
    expect(await disconnect()).toBeUndefined();
    expect(await find()).toBeUndefined();
    expect(await harness.eventTypes('acme')).toEqual(['connected', 'disconnected']);
    expect(await harness.rows('acme')).toMatchObject([{ access_token: '', refresh_token: '', token_digest: null }]);
  });

  it.each(['authorization_revoked', 'rotation_lost', 'refresh_token_expired'] as const)(
    'finds a connection that is lost with the reason %s, which can be replaced and disconnected',
    async (reason) => {
      const lost = { is_active: 0, deactivation_reason: reason, deactivated_at: harness.clock.now() };
      await harness.knex('oauth_tokens').insert([rowOf(lost), rowOf({ ...lost, organization_id: 'other' })]);
      expect(await find()).toMatchObject({ state: 'lost', reason, lostAt: harness.clock.now() });
      expect(await harness.home.tokens.isCompanyConnected('quickbooks', '1' as RealmId)).toBe(false);

      expect(await replace(connectionOf())).toMatchObject({ event: { type: 'reconnected' } });
      expect(await find()).toMatchObject({ state: 'active' });
      expect(await disconnect('other')).toMatchObject({ event: { type: 'disconnected' } });
      expect(await find('other')).toBeUndefined();
    },
  );

  it('has no grant to revoke for a lost connection whose ciphertext was purged', async () => {
    await harness
      .knex('oauth_tokens')
      .insert(rowOf({ is_active: 0, deactivation_reason: 'rotation_lost', access_token: '', refresh_token: '' }));
    expect(await find()).toMatchObject({ state: 'lost', tokens: undefined });
    expect(await disconnect()).toMatchObject({ revocation: undefined });
    expect(await harness.pendingRevocations()).toEqual([]);
  });

  it('reports whether any organization’s active connection uses a company', async () => {
    const isConnected = (realmId: string, system = 'quickbooks') =>
      harness.home.tokens.isCompanyConnected(system, realmId as RealmId);
    for (const organization of ['one', 'two']) {
      await replace(connectionOf({ ...harness.key(organization), realmId: '7' as RealmId }));
    }
    await disconnect('one');
    expect([await isConnected('7'), await isConnected('70'), await isConnected('7', 'ledgerly')]).toEqual([
      true,
      false,
      false,
    ]);
    await disconnect('two');
    expect(await isConnected('7')).toBe(false);
  });

  it('does not count an unproven connection as one that uses its company', async () => {
    await replace(connectionOf({ lastVerifiedAt: undefined }));
    expect(await harness.home.tokens.isCompanyConnected('quickbooks', '1' as RealmId)).toBe(false);
  });

  it('keeps one current connection for each organization, however many calls are concurrent', async () => {
    const calls = Array.from({ length: 20 }, (_, index) =>
      index % 4 === 3 ? disconnect() : replace(connectionOf({ realmId: String(index) as RealmId })),
    );
    const ended = (await Promise.all(calls)).flatMap(({ revocation } = {} as EndedConnection) =>
      typeof revocation === 'object' ? (revocation.realmId ?? []) : [],
    );
    const current = await find();
    const all = [...ended, ...(current ? [current.realmId] : [])].map(Number).sort((a, b) => a - b);
    expect(all).toEqual([0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 16, 17, 18]); // each ended once, none forgotten
  });

  it('stores the end of the authorization as the refresh token’s expiry if it is earlier, also after a refresh', async () => {
    harness.simulator.settings.hardSeconds = 86_400;
    await harness.connect('acme');
    harness.simulator.settings.hardSeconds = 157_680_000;
    const endsAt = later();
    expect(await find()).toMatchObject({
      tokens: { refreshTokenExpiresAt: endsAt, authorizationExpiresAt: endsAt, isRefreshExpiryAssumed: false },
    });
    await harness.expire('acme');
    harness.simulator.fail({ on: 'token', kind: 'json', body: { access_token: 'a', refresh_token: 'r' } });
    await harness.home.tokenManager.accessToken(harness.key('acme'));
    expect(await find()).toMatchObject({
      generation: 1,
      tokens: { refreshTokenExpiresAt: endsAt, authorizationExpiresAt: endsAt, isRefreshExpiryAssumed: false },
    });
  });

  function later(): Date {
    return new Date(harness.clock.now().getTime() + 24 * HOURS);
  }

  async function find(organizationId = 'acme'): Promise<Connection | undefined> {
    return harness.home.tokens.findCurrent(harness.key(organizationId));
  }

  async function replace(connection: NewConnection): Promise<EndedConnection> {
    return harness.home.session.transaction((trx) =>
      harness.home.tokens.replaceCurrent(trx, connection, { actor: 'billing', nextMaintenanceAt: later() }),
    );
  }

  async function disconnect(organizationId = 'acme'): Promise<EndedConnection | undefined> {
    return harness.home.tokens.disconnect(harness.key(organizationId), 'billing');
  }

  function connectionOf(changes: Partial<NewConnection> = {}): NewConnection {
    return {
      ...harness.key('acme'),
      tokenId: randomUUID(),
      realmId: '1' as RealmId,
      companyName: 'Ünï 漢字 😀',
      tokens: TOKENS,
      lastVerifiedAt: harness.clock.now(),
      intuitTid: '1-tid',
      ...changes,
    };
  }
});

describe('OAuthTokenDatastore on a database that accepts no writes', () => {
  const harness = useHarness(createSqlite, { isolated: true });

  it('rejects a disconnect that finds no connection: a demoted primary may lack it', async () => {
    await harness.home.session.knex.raw('PRAGMA query_only = ON');
    const disconnected = harness.home.tokens.disconnect(harness.key('acme'), 'billing');
    expect(await codeOf(disconnected)).toBe('service_unavailable');
  });
});
