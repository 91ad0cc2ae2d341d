import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { Knex } from 'knex';
import { type IntuitSimulator, startIntuitSimulator } from '../dev/intuit-simulator/simulator.ts';
import { loadDatabaseConfig } from '../src/config/config.ts';
import { migrateUp } from '../src/db/migrations.ts';
import { openKnex } from '../src/db/session.ts';
import { describeOnServer } from './support/databases.ts';
import { environment } from './support/environment.ts';
import { callAtOnce } from './support/gateway.ts';
import type { TestDatabase } from './support/own-database.ts';
import { runServer, type ServiceProcess } from './support/processes.ts';
import { connect } from './support/service.ts';

describeOnServer('three replicas on one database', (createDatabase) => {
  let database: TestDatabase;
  let simulator: IntuitSimulator;
  let knex: Knex;
  let replicas: ServiceProcess[] = [];
  const organizations = Array.from({ length: 50 }, (_, index) => `org-${index}`);

  beforeAll(async () => {
    [database, simulator] = await Promise.all([createDatabase(), startIntuitSimulator()]);
    knex = openKnex(loadDatabaseConfig({ DATABASE_URL: database.url }));
    await migrateUp(knex);
    const own = { NODE_ENV: 'production', LOG_LEVEL: 'info' };
    const env = { ...environment(database.url, simulator), ...own };
    replicas = await Promise.all([1, 2, 3].map(() => runServer(env)));
    await Promise.all(
      organizations.map((organization, index) =>
        connect(replicaAt(index), simulator, organization, { realmId: String(index) }),
      ),
    );
  });
  beforeEach(async () => {
    await knex('oauth_tokens').update({ access_token_expires_at: new Date(Date.now() - 1_000) });
    simulator.resetCalls();
  });
  afterAll(async () => {
    await Promise.all(replicas.map((replica) => replica.kill('SIGTERM')));
    await simulator?.close();
    await knex?.destroy();
    await database?.drop();
  });

  it('refresh an expired connection once for 300 callers, and serve them all', async () => {
    const startedAt = performance.now();
    const statuses = await Promise.all(replicas.map((replica) => callAtOnce(replica, 'org-0', 100)));
    report('300 callers of one connection', startedAt);
    expect(statuses.flat()).toEqual(Array(300).fill(200));
    expect(simulator.callsTo('token')).toHaveLength(1);
  });

  it('refresh each of 50 expired connections once for 20 callers, and serve them all', async () => {
    const startedAt = performance.now();
    const calls = organizations.flatMap((organization) => [
      ...[7, 7, 6].map((times, index) => callAtOnce(replicaAt(index), organization, times)),
    ]);
    const statuses = await Promise.all(calls);
    report('20 callers of each of 50 connections', startedAt);
    expect(statuses.flat()).toEqual(Array(1000).fill(200));
    const refreshed = simulator.callsTo('token').map(({ token }) => token);
    expect([refreshed.length, new Set(refreshed).size]).toEqual([50, 50]);
    expect(await knex('oauth_tokens').where({ is_active: 1, generation: 1 })).toHaveLength(49); // the first has 2
  });

  it('call Intuit once for 300 callers of a revoked connection, and return 409 to them all', async () => {
    simulator.revokeGrant('1');
    const statuses = await Promise.all(replicas.map((replica) => callAtOnce(replica, 'org-1', 100)));
    expect(statuses.flat()).toEqual(Array(300).fill(409));
    expect([simulator.callsTo('token').length, simulator.callsTo('api').length]).toEqual([1, 0]);
  });

  it('exit with 0 at SIGTERM, without a token in any log line', async () => {
    expect(await Promise.all(replicas.map((replica) => replica.kill('SIGTERM')))).toEqual([0, 0, 0]);
    const logs = replicas.flatMap(({ stdout, stderr }) => `${stdout()}${stderr()}`.split('\n'));
    expect(logs.length).toBeGreaterThan(1_000);
    expect(logs.filter((line) => /eyJ[\w-]{20}|AB11\d{10}|XAB11|gAAAA/.test(line))).toEqual([]);
  });

  function replicaAt(index: number): ServiceProcess {
    return replicas[index % 3] as ServiceProcess;
  }
});

/** Prints how long it took, for people who compare runs. */
function report(what: string, startedAt: number): void {
  process.stdout.write(`${what}: ${Math.round(performance.now() - startedAt)} ms\n`);
}
