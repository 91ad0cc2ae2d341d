import { randomUUID } from 'node:crypto';
import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Context } from '../../src/context.ts';
import type { NewConnectionDatastore, StoredConnection } from '../../src/datastores/new-connection-datastore.ts';
import type { ActiveConnection, RealmId } from '../../src/models/connection.ts';
import { NewConnectionRestorer } from '../../src/services/new-connection-restorer.ts';
import { RESTORE_MS } from '../../src/services/refresh-policy.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { HOURS, MINUTES, SECONDS, useHarness } from '../support/harness.ts';
import { stopReplication } from '../support/lost-commits.ts';
import { callback } from '../support/requests.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { consent, disconnect, status } from '../support/service.ts';
import { TestClock } from '../support/test-clock.ts';
import { until } from '../support/until.ts';

describeEachDatabase('a new connection whose commit a failover of the database lost', (createDatabase) => {
  const harness = useHarness(createDatabase, { isolated: true });
  beforeEach(async () => {
    await harness.knex('connection_counts').update({ active: 0, lost: 0 });
  });

  it('is stored again, with its event, its count and the outcome of its callback', async () => {
    const loseCommits = await stopReplication(harness.knex);
    const flow = await consent(harness.service, harness.simulator, 'acme', { realmId: '1' });
    await callback(harness.service, flow);
    const [before] = await harness.rows('acme');
    await loseCommits();
    expect(await status(harness.service, 'acme')).toMatchObject({ connected: false });
    await failOver();
    expect(await status(harness.service, 'acme')).toMatchObject({ connected: true, realm_id: '1' });
    expect(await harness.rows('acme')).toMatchObject([{ token_id: before?.token_id, generation: 0 }]);
    expect(await harness.events('acme')).toMatchObject([{ type: 'connected', actor: 'browser', realm_id: '1' }]);
    expect(await activeCount()).toBe(1);
    expect(await harness.use('acme')).toBe(200);
    expect((await callback(harness.service, flow)).headers['location']).toContain('connected=true');
    expect(logged('connect.restored')).toMatchObject([{ level: 40, organization_id: 'acme', realm_id: '1' }]);
  });

  it('is stored once, however many failovers follow', async () => {
    const loseCommits = await stopReplication(harness.knex);
    await harness.connect('acme');
    await failOver();
    await loseCommits();
    await failOver();
    await failOver();
    expect([await harness.eventTypes('acme'), await activeCount()]).toEqual([['connected'], 1]);
    expect(await harness.rows('acme')).toHaveLength(1);
  });

  it('leaves the link consumed through which it was made', async () => {
    const link = { id: randomUUID(), expiresAt: new Date(harness.clock.now().getTime() + 5 * MINUTES) };
    const open = () =>
      harness.home.oauthService.connectByLink({ ...link, ...harness.key('acme'), actor: 'billing' } as never);
    const loseCommits = await stopReplication(harness.knex);
    const { authorizationUrl, browserSecret } = await open();
    const query = new URL(await harness.simulator.authorize(authorizationUrl, { realmId: '1' })).searchParams;
    const parameters = { state: query.get('state') ?? '', code: query.get('code') ?? '', realmId: '1' as RealmId };
    await harness.home.oauthService.callback('quickbooks', parameters, browserSecret);
    await loseCommits();
    await failOver();
    expect(await harness.row('acme')).toMatchObject({ is_active: 1 });
    await expect(open()).rejects.toMatchObject({ code: 'unauthorized' });
  });

  describe.each(['this process', 'another process'])('that %s has refreshed', (where) => {
    it('is stored with the newest tokens', async () => {
      const [connecting, other] = [await harness.replica(), await harness.replica()];
      const refreshing = where === 'this process' ? connecting : other;
      const loseCommits = await stopReplication(harness.knex);
      await connectThrough(connecting, '1');
      await refreshing.tokenManager.refresh(await find('acme'));
      await loseCommits();
      if (refreshing === other) {
        harness.queries.splice(0);
        notice(other);
        await until(() => harness.queries.length > 0); // too early: there is no row yet
      }
      notice(connecting);
      await until(async () => (await harness.rows('acme')).length === 1);
      if (refreshing === other) harness.clock.advance(RESTORE_MS / 2);
      await until(async () => (await harness.row('acme')).generation === 1);
      harness.clock.advance(RESTORE_MS);
      const connection = await find('acme');
      const stored = harness.home.cipher.decryptRefreshToken(connection, connection.tokens);
      expect(stored).toBe(harness.simulator.grantFor('1')?.refreshToken);
    });
  });

  it.each(['after', 'before', 'while'])(
    'becomes one connection if its grant is there again, and a worker completes it %s it is restored',
    async (order) => {
      const { loseCommits } = await connectWithGrantReplicated();
      await loseCommits();
      harness.clock.advance(3 * MINUTES);
      if (order === 'before') await harness.home.worker.tick();
      await Promise.all([failOver(), order === 'while' ? harness.home.worker.tick() : undefined]);
      if (order === 'after') await harness.home.worker.tick();
      expect([await harness.eventTypes('acme'), await activeCount()]).toEqual([['connected'], 1]);
      expect(await harness.rows('acme')).toMatchObject([{ is_active: 1, realm_id: '1' }]);
      expect([await harness.knex('pending_grants'), harness.revocations()]).toEqual([[], 0]);
    },
  );

  it('takes the place of the connection that it had replaced, whose grant is revoked by the worker', async () => {
    await harness.connect('acme', '1');
    // By a process whose clock is ahead: the connection that was replaced is known all the same.
    await harness.set('acme', { created_at: new Date(harness.clock.now().getTime() + HOURS) } as never);
    const loseCommits = await stopReplication(harness.knex);
    harness.simulator.fail({ on: 'revoke', kind: 'status', status: 503 });
    await harness.connect('acme', '2');
    await loseCommits();
    await failOver();
    expect(await status(harness.service, 'acme')).toMatchObject({ connected: true, realm_id: '2' });
    expect(await harness.eventTypes('acme')).toEqual(['connected', 'reconnected']);
    expect([await activeCount(), harness.revocations()]).toEqual([1, 0]);
    harness.simulator.clearFaults();
    harness.clock.advance(2 * MINUTES);
    await harness.home.worker.tick();
    expect(harness.simulator.grantFor('1')?.revoked).toBe(true);
  });

  it('does not come back if this process has disconnected it', async () => {
    const loseCommits = await stopReplication(harness.knex);
    await harness.connect('acme');
    await disconnect(harness.service, 'acme');
    await loseCommits();
    await failOver();
    expect(await harness.rows('acme')).toEqual([]);
  });

  it.each([
    ['its own', async () => harness.home],
    ['another', () => harness.replica()],
  ])('does not come back if the connection before it was disconnected since, by %s process', async (_, process) => {
    await harness.connect('acme', '1');
    const loseCommits = await stopReplication(harness.knex);
    await harness.connect('acme', '2');
    await loseCommits();
    harness.clock.advance(1 * SECONDS);
    await (await process()).oauthService.disconnect(harness.key('acme'), 'billing');
    await failOver();
    expect(await status(harness.service, 'acme')).toMatchObject({ connected: false });
    await expectRevoked('2');
  });

  it('does not replace a connection that another process has made since', async () => {
    const other = await harness.replica();
    const loseCommits = await stopReplication(harness.knex);
    await harness.connect('acme', '1');
    await loseCommits();
    harness.clock.advance(1 * SECONDS);
    await connectThrough(other, '2');
    await failOver();
    expect(await status(harness.service, 'acme')).toMatchObject({ connected: true, realm_id: '2' });
    expect(await harness.rows('acme')).toHaveLength(1);
    await expectRevoked('1');
    expect(await harness.use('acme')).toBe(200);
  });

  it('cannot be disconnected through another process while it is missing: the user is asked to try again', async () => {
    const other = await harness.replica();
    const loseCommits = await stopReplication(harness.knex);
    await harness.connect('acme', '1');
    await loseCommits();
    notice(other);
    const key = harness.key('acme');
    await expect(other.oauthService.disconnect(key, 'billing')).rejects.toMatchObject({ code: 'service_unavailable' });
    await failOver();
    expect(await other.oauthService.disconnect(key, 'billing')).toBeDefined();
    expect(await status(harness.service, 'acme')).toMatchObject({ connected: false });
    expect(await other.oauthService.disconnect(key, 'billing')).toBeUndefined(); // for good
  });

  it('is stored again although a disconnect was asked for through this process while it is missing', async () => {
    const loseCommits = await stopReplication(harness.knex);
    await harness.connect('acme', '1');
    await loseCommits();
    const key = harness.key('acme');
    const find = jest.spyOn(harness.home.tokens, 'disconnect').mockResolvedValueOnce(undefined); // before it is restored
    notice(harness.home);
    await expect(harness.home.oauthService.disconnect(key, 'billing')).rejects.toMatchObject({
      code: 'service_unavailable',
    });
    find.mockRestore();
    await harness.home.backgroundTasks.drain();
    harness.clock.advance(RESTORE_MS);
    expect(await status(harness.service, 'acme')).toMatchObject({ connected: true });
    expect(await harness.home.oauthService.disconnect(key, 'billing')).toMatchObject({ revocation: 'revoked' });
    expect(harness.simulator.grantFor('1')?.revoked).toBe(true);
  });

  it('is not ended by an old revocation that another process finds while it is missing', async () => {
    const other = await harness.replica();
    await harness.connect('acme', '1');
    harness.simulator.fail({ on: 'revoke', kind: 'status', status: 503 });
    await disconnect(harness.service, 'acme');
    harness.simulator.clearFaults();
    const loseCommits = await stopReplication(harness.knex);
    await harness.connect('globex', '1');
    await loseCommits();
    await harness.knex('pending_revocations').update({ next_attempt_at: harness.clock.now() });
    notice(other);
    await other.worker.tick();
    expect(harness.revocations()).toBe(0);
    await failOver();
    harness.clock.advance(2 * MINUTES);
    await other.worker.tick();
    expect([harness.revocations(), await harness.pendingRevocations()]).toEqual([0, []]);
    expect(await harness.use('globex')).toBe(200);
  });

  it('keeps the response to a refresh that arrives while it is missing', async () => {
    const loseCommits = await stopReplication(harness.knex);
    await harness.connect('acme', '1');
    const release = harness.simulator.hold({ on: 'token', kind: 'slow' });
    const refreshing = harness.home.tokenManager.refresh(await find('acme'));
    await until(() => harness.refreshes() === 1);
    await loseCommits();
    release();
    await refreshing;
    expect([harness.revocations(), await harness.pendingRevocations()]).toEqual([0, []]);
    await failOver();
    const connection = await find('acme');
    const token = harness.home.cipher.decryptRefreshToken(connection, connection.tokens);
    expect(token).toBe(harness.simulator.grantFor('1')?.refreshToken);
    expect(await harness.use('acme')).toBe(200);
  });

  it('is not mistaken for one of an organization that was erased since', async () => {
    await harness.connect('acme');
    expect(await (await harness.replica()).eraser.erase(harness.key('acme').organizationId)).toMatchObject({
      kind: 'erased',
    });
    await failOver();
    expect(await harness.rows('acme')).toEqual([]);
  });

  it('is noticed by a process that has no requests', async () => {
    await harness.connect('acme');
    const before = harness.queries.length;
    harness.home.session.servers.disconnected();
    await until(() => harness.queries.length > before);
    expect(harness.queries[before]).toMatch(/^select .*oauth_tokens/);
  });

  itKeptSecrets(harness);

  /** Has the worker revoke what is left of a company. */
  async function expectRevoked(realmId: string): Promise<void> {
    harness.clock.advance(2 * MINUTES);
    await harness.home.worker.tick();
    expect(harness.simulator.grantFor(realmId)?.revoked).toBe(true);
    expect(await harness.pendingRevocations()).toEqual([]);
  }

  /** Connects an organization. Of this, only its received grant was replicated. */
  async function connectWithGrantReplicated() {
    const flow = await consent(harness.service, harness.simulator, 'acme', { realmId: '1' });
    const release = harness.simulator.hold({ on: 'companyinfo', kind: 'slow' });
    const before = harness.simulator.callsTo('api').length;
    const response = callback(harness.service, flow).then((value) => value);
    await until(() => harness.simulator.callsTo('api').length > before);
    const loseCommits = await stopReplication(harness.knex);
    release();
    await response;
    return { loseCommits };
  }

  async function connectThrough({ oauthService }: Context, realmId: string): Promise<void> {
    const { authorizationUrl, browserSecret } = oauthService.connect(harness.key('acme'), 'billing');
    const query = new URL(await harness.simulator.authorize(authorizationUrl, { realmId })).searchParams;
    const parameters = { state: query.get('state') ?? '', code: query.get('code') ?? '', realmId: realmId as RealmId };
    await oauthService.callback('quickbooks', parameters, browserSecret);
  }

  async function find(organization: string): Promise<ActiveConnection> {
    return (await harness.home.tokens.findCurrent(harness.key(organization))) as ActiveConnection;
  }

  async function failOver(): Promise<void> {
    notice(harness.home);
    await harness.home.backgroundTasks.drain();
    harness.clock.advance(RESTORE_MS);
  }

  function notice({ session: { servers } }: Context): void {
    const { server = 'SQLite, which has no servers' } = servers;
    servers.reached('the previous primary');
    servers.reached(server);
  }

  async function activeCount(): Promise<number> {
    return Number((await harness.knex('connection_counts').sum({ active: 'active' }).first())?.['active']);
  }

  function logged(event: string) {
    return harness.logs.map((line) => JSON.parse(line)).filter((line) => line.event === event);
  }
});

describeEachDatabase('a confirmed connection whose commit a failover of the database lost', (createDatabase) => {
  const harness = useHarness(createDatabase, { env: { CONNECT_CONFIRMATION: 'true' }, isolated: true });

  it.each(['restored', 'expired'])(
    'is connected or ended, once, if its grant is there again and first %s',
    async (first) => {
      const flow = await consent(harness.service, harness.simulator, 'acme', { realmId: '1' });
      const response = await callback(harness.service, flow);
      const confirmation = new URL(String(response.headers['location'])).searchParams.get('confirmation') ?? '';
      const loseCommits = await stopReplication(harness.knex);
      await harness.home.oauthService.confirm(harness.key('acme'), confirmation, 'billing');
      await loseCommits();
      const expire = async () => {
        harness.clock.advance(11 * MINUTES);
        await harness.home.worker.tick();
      };
      if (first === 'expired') await expire();
      const { servers } = harness.home.session;
      servers.reached('the previous primary');
      servers.reached('the new primary');
      await harness.home.backgroundTasks.drain();
      if (first === 'restored') await expire();
      expect(await harness.eventTypes('acme')).toEqual([first === 'restored' ? 'connected' : 'confirmation_expired']);
      expect(await harness.rows('acme')).toHaveLength(first === 'restored' ? 1 : 0);
      expect(harness.simulator.grantFor('1')?.revoked).toBe(first === 'expired');
    },
  );
});

describe('the memory of new connections', () => {
  it('ends after ten minutes, or with ten thousand newer ones', async () => {
    const { restorer, restore, clock } = create();
    for (let at = 0; at < 10_001; at += 1) restorer.remember(stored(`org-${at}`));
    await restorer.restoreAll();
    expect(restore).toHaveBeenCalledTimes(10_000);
    clock.advance(10 * MINUTES);
    restorer.remember(stored('last'));
    restore.mockClear();
    await restorer.restoreAll();
    expect(restore.mock.calls.map(([{ connection }]) => connection.organizationId)).toEqual(['last']);
  });

  it('is used after an outage of hours, but not once nothing can show any more whether a commit was lost', async () => {
    const { restorer, restore, clock } = create();
    restorer.remember(stored('acme'));
    clock.advance(11 * HOURS);
    await restorer.restoreAll();
    expect(restore).toHaveBeenCalledTimes(1);
    clock.advance(2 * HOURS);
    await restorer.restoreAll();
    expect(restore).toHaveBeenCalledTimes(1);
  });

  it('restores the others if one fails', async () => {
    const { restorer, restore, error } = create();
    restore.mockImplementation(async ({ connection }) => {
      if (String(connection.organizationId) === 'faulty') throw new TypeError('a fault');
      return { kind: 'present' };
    });
    for (const organization of ['acme', 'faulty', 'globex']) restorer.remember(stored(organization));
    await restorer.restoreAll();
    expect(restore).toHaveBeenCalledTimes(3);
    const event = 'connect.restore_failed';
    expect(error.mock.calls).toEqual([[expect.objectContaining({ event, organization_id: 'faulty' }), event]]);
  });

  function create() {
    const clock = new TestClock();
    clock.stop();
    const restore = jest.fn<NewConnectionDatastore['restore']>(async () => ({ kind: 'present' }));
    const error = jest.fn();
    const newConnections = { restore } as unknown as NewConnectionDatastore;
    const unused = { tokens: {} as never, grants: {} as never };
    const restorer = new NewConnectionRestorer({ ...unused, newConnections, clock, logger: { error } as never });
    return { restorer, restore, clock, error };
  }

  function stored(organizationId: string): StoredConnection {
    return { connection: { organizationId, system: 'quickbooks', realmId: '1' } } as unknown as StoredConnection;
  }
});
