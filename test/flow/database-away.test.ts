import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import supertest, { type Response } from 'supertest';
import { type IntuitSimulator, startIntuitSimulator } from '../../dev/intuit-simulator/simulator.ts';
import { migrateUp } from '../../src/db/migrations.ts';
import { openKnex } from '../../src/db/session.ts';
import { describeOnServer } from '../support/databases.ts';
import { scrape } from '../support/metrics.ts';
import type { TestDatabase } from '../support/own-database.ts';
import { callback, expectProblem, expectRetryAfter, PREFIX } from '../support/requests.ts';
import { connect, consent, disconnect, startService, status, type TestService } from '../support/service.ts';
import { closedPort, startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

const READINESS = { status: 'unavailable', checks: { database: 'unreachable', migrations: 'unreachable' } };

let simulator: IntuitSimulator;
const printed = jest.spyOn(console, 'log').mockImplementation(() => undefined);
beforeAll(async () => {
  simulator = await startIntuitSimulator();
});
beforeEach(() => {
  simulator.clearFaults();
  simulator.resetCalls();
});
afterAll(() => simulator.close());

describe('a database whose server is not there', () => {
  let service: TestService;

  beforeAll(async () => {
    const databaseUrl = `mysql://root@127.0.0.1:${await closedPort()}/none`;
    service = await startService({ databaseUrl, simulator, env: { NODE_ENV: 'production' } });
  });
  afterAll(() => service.close());

  it('is service_unavailable, and no code is consumed', async () => {
    for (const call of callsTo(service)) await expectAway(call);
    expect(simulator.callsTo('token')).toEqual([]);
  });

  it('is told by /readyz and /metrics, while /healthz is well', async () => {
    await supertest(service.origin).get('/readyz').expect(503, READINESS);
    await supertest(service.origin).get('/healthz').expect(200);
    expect(await scrape(service)).toMatchObject({ accounting_database_up: 0 });
  });

  it('is logged for its operator, with the reason and without the password', async () => {
    expect(service.logs.filter((line) => JSON.parse(line).level >= 40).join()).toContain('ECONNREFUSED');
  });

  it('prints nothing beside the log, whose lines are all JSON', () => {
    expect(printed.mock.calls.map(String)).toEqual([]);
  });
});

describeOnServer('a database that goes away', (createDatabase) => {
  let database: TestDatabase;
  let proxy: TcpProxy;
  let service: TestService;

  beforeAll(async () => {
    database = await createDatabase();
    proxy = await startTcpProxy(database.url);
    const env = { NODE_ENV: 'production', PROVIDER_TIMEOUT_MS: '10000' };
    const knex = openKnex({ client: 'mysql', url: database.url });
    await migrateUp(knex);
    await knex.destroy();
    service = await startService({ databaseUrl: proxy.url, simulator, env });
  });
  afterAll(async () => {
    proxy.resume();
    await service.close();
    await proxy.close();
    await database.drop();
  });

  it('is service_unavailable while it refuses, and well again when it is back', async () => {
    await connect(service, simulator, 'stopped');
    simulator.resetCalls();
    proxy.stop();
    for (const call of callsTo(service)) await expectAway(call);
    expect(simulator.callsTo('token')).toEqual([]);
    proxy.resume();
    expect(await status(service, 'stopped')).toMatchObject({ connected: true });
    expect((await connect(service, simulator, 'stopped')).status).toBe(302);
  });

  it('loses no grant when it goes between exchange and storing and comes back in time', async () => {
    const release = simulator.hold({ on: 'companyinfo', kind: 'slow' });
    const flow = await consent(service, simulator, 'between');
    const answer = callback(service, flow);
    await until(() => simulator.callsTo('api').length > 0);
    proxy.stop();
    release();
    setTimeout(() => proxy.resume(), 1_000);
    expect((await answer).status).toBe(302);
    expect(await status(service, 'between')).toMatchObject({ connected: true });
    expect(simulator.callsTo('token')).toHaveLength(1);
  });

  it('loses no grant when it hangs between exchange and storing and comes back in time', async () => {
    const release = simulator.hold({ on: 'companyinfo', kind: 'slow' });
    const flow = await consent(service, simulator, 'hung-between');
    const answer = callback(service, flow);
    await until(() => simulator.callsTo('api').length > 0);
    proxy.hang();
    release();
    setTimeout(() => proxy.resume(), 1_000);
    expect((await answer).status).toBe(302);
    expect(await status(service, 'hung-between')).toMatchObject({ connected: true });
  });

  it.each([
    ['status', (org: string) => supertest(service.origin).get(`${PREFIX}/status/${org}`)],
    ['disconnect', (org: string) => disconnect(service, org)],
    ['callback', (org: string) => connect(service, simulator, org)],
  ])('is service_unavailable if it hangs and the pool has connections: %s', async (name, call) => {
    await connect(service, simulator, name);
    simulator.resetCalls();
    proxy.hang();
    try {
      await expectAway(() => call(name));
      expect(simulator.callsTo('token')).toEqual([]);
    } finally {
      proxy.resume();
    }
    expect((await disconnect(service, name)).status).toBe(200);
  });

  it('is reported by /readyz if it hangs', async () => {
    proxy.hang();
    await supertest(service.origin).get('/readyz').expect(503, READINESS);
    proxy.resume();
    await supertest(service.origin).get('/readyz').expect(200);
  });
});

/** Every call that needs the database. */
function callsTo(service: TestService): (() => PromiseLike<Response>)[] {
  return [
    () => connect(service, simulator, 'away'),
    () => supertest(service.origin).get(`${PREFIX}/status/away`),
    () => disconnect(service, 'away'),
  ];
}

async function expectAway(call: () => PromiseLike<Response>): Promise<void> {
  const answer = await call();
  expectProblem(answer, 503, 'service_unavailable');
  expectRetryAfter(answer);
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setImmediate(resolve));
}
