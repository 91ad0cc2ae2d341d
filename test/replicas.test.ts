import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { Knex } from 'knex';
import { type IntuitSimulator, startIntuitSimulator } from '../dev/intuit-simulator/simulator.ts';
import { migrateUp } from '../src/db/migrations.ts';
import { openKnex } from '../src/db/session.ts';
import { describeOnServer } from './support/databases.ts';
import { environment } from './support/environment.ts';
import { callAtOnce } from './support/gateway.ts';
import type { TestDatabase } from './support/own-database.ts';
import { runServer, type ServiceProcess } from './support/processes.ts';
import { connect } from './support/service.ts';

describeOnServer('three processes on one database', (createDatabase) => {
  let database: TestDatabase;
  let simulator: IntuitSimulator;
  let knex: Knex;
  let processes: ServiceProcess[] = [];
  const organizations = Array.from({ length: 50 }, (_, index) => `org-${index}`);

  beforeAll(async () => {
    [database, simulator] = await Promise.all([createDatabase(), startIntuitSimulator()]);
    knex = openKnex({ client: 'mysql', url: database.url });
    await migrateUp(knex);
    const own = { NODE_ENV: 'production', LOG_LEVEL: 'info' };
    const env = { ...environment(database.url, simulator), ...own };
    processes = await Promise.all([1, 2, 3].map(() => runServer(env)));
    await Promise.all(
      organizations.map((organization, index) =>
        connect(replica(index), simulator, organization, { realmId: String(index) }),
      ),
    );
  });
  beforeEach(async () => {
    await knex('oauth_tokens').update({ access_token_expires_at: new Date(Date.now() - 1_000) });
    simulator.resetCalls();
  });
  afterAll(async () => {
    await Promise.all(processes.map((each) => each.kill('SIGTERM')));
    await simulator?.close();
    await knex?.destroy();
    await database?.drop();
  });

  it('make one token call for 300 callers of an expired connection, and serve them all', async () => {
    const started = performance.now();
    const statuses = await Promise.all(processes.map((each) => callAtOnce(each, 'org-0', 100)));
    report('300 callers of one connection', started);
    expect(statuses.flat()).toEqual(Array(300).fill(200));
    expect(simulator.callsTo('token')).toHaveLength(1);
  });

  it('make 50 token calls for 20 callers of each of 50 expired connections, and serve them all', async () => {
    const started = performance.now();
    const calls = organizations.flatMap((organization) => [
      ...[7, 7, 6].map((times, index) => callAtOnce(replica(index), organization, times)),
    ]);
    const statuses = await Promise.all(calls);
    report('20 callers of each of 50 connections', started);
    expect(statuses.flat()).toEqual(Array(1000).fill(200));
    const refreshed = simulator.callsTo('token').map(({ token }) => token);
    expect([refreshed.length, new Set(refreshed).size]).toEqual([50, 50]);
    expect(await knex('oauth_tokens').where({ is_active: 1, generation: 1 })).toHaveLength(49); // the first has 2
  });

  it('tell 300 callers of a revoked connection so by one token call', async () => {
    simulator.revokeGrant('1');
    const statuses = await Promise.all(processes.map((each) => callAtOnce(each, 'org-1', 100)));
    expect(statuses.flat()).toEqual(Array(300).fill(409));
    expect([simulator.callsTo('token').length, simulator.callsTo('api').length]).toEqual([1, 0]);
  });

  it('end on SIGTERM with exit code 0, having told no token', async () => {
    expect(await Promise.all(processes.map((each) => each.kill('SIGTERM')))).toEqual([0, 0, 0]);
    const logs = processes.flatMap(({ stdout, stderr }) => `${stdout()}${stderr()}`.split('\n'));
    expect(logs.length).toBeGreaterThan(1_000);
    expect(logs.filter((line) => /eyJ[\w-]{20}|AB11\d{10}|XAB11|gAAAA/.test(line))).toEqual([]);
  });

  function replica(index: number): ServiceProcess {
    return processes[index % 3] as ServiceProcess;
  }
});

/** Tells how long it took: these numbers are worth watching. */
function report(what: string, started: number): void {
  process.stdout.write(`${what}: ${Math.round(performance.now() - started)} ms\n`);
}
