import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import supertest, { type Response } from 'supertest';
import type { IntuitSimulator } from '../../dev/intuit-simulator/simulator.ts';
import { createSqlite, describeOnServer } from '../support/databases.ts';
import { SECONDS, useHarness } from '../support/harness.ts';
import { scrape } from '../support/metrics.ts';
import { callback, expectProblem, expectRetryAfter, PREFIX } from '../support/requests.ts';
import { connect, consent, disconnect, startService, status, type TestService } from '../support/service.ts';
import { closedPort, startTcpRelay, type TcpRelay } from '../support/tcp-relay.ts';
import { until } from '../support/until.ts';

const UNREACHABLE = { database: 'unreachable', migrations: 'unreachable', encryption_key: 'unreachable' };
const READINESS = { status: 'unavailable', checks: UNREACHABLE };

describe('a database that cannot be reached', () => {
  const harness = useHarness(createSqlite);
  const printed = jest.spyOn(console, 'log').mockImplementation(() => undefined);
  let service: TestService;

  beforeAll(async () => {
    const databaseUrl = `mysql://root:canary-password@127.0.0.1:${await closedPort()}/none`;
    service = await startService({ databaseUrl, simulator: harness.simulator, env: { NODE_ENV: 'production' } });
  });
  afterAll(() => service.close());

  it('makes every route return 503 service_unavailable, and no code is exchanged', async () => {
    for (const call of callsTo(service, harness.simulator)) await expectUnavailable(call);
    expect(harness.simulator.callsTo('token')).toEqual([]);
  });

  it('is reported by /readyz and /metrics, but not by /healthz', async () => {
    await supertest(service.origin).get('/readyz').expect(503, READINESS);
    await supertest(service.origin).get('/healthz').expect(200);
    expect(await scrape(service)).toMatchObject({ accounting_database_up: 0, accounting_ready: 0 });
  });

  it('is logged as a warning, with the reason and without the password', async () => {
    expect(service.logs.filter((line) => JSON.parse(line).level === 40).join()).toContain('ECONNREFUSED');
    expect(service.logs.join()).not.toContain('canary-password');
  });

  it('causes no output but the log, whose lines are all JSON', () => {
    expect(printed.mock.calls.map(String)).toEqual([]);
  });
});

describeOnServer('a database that becomes unavailable', (createDatabase) => {
  let relay: TcpRelay;
  afterEach(() => relay.pass());
  const harness = useHarness(async () => {
    const database = await createDatabase();
    relay = await startTcpRelay(database.url);
    const drop = async () => {
      relay.close();
      await database.drop();
    };
    return { url: relay.url, drop };
  });

  it('makes every route return 503 service_unavailable until it accepts connections again', async () => {
    const { service, simulator } = harness;
    await connect(service, simulator, 'refused');
    simulator.resetCalls();
    relay.refuse();
    for (const call of callsTo(service, simulator)) await expectUnavailable(call);
    expect(simulator.callsTo('token')).toEqual([]);
    await relay.pass();
    expect(await status(service, 'refused')).toMatchObject({ connected: true });
    expect((await connect(service, simulator, 'refused')).status).toBe(302);
  });

  it.each(['refuse', 'hang'] as const)(
    'costs no grant if that happens (%s) between the exchange and the save, and ends in time',
    async (interrupt) => {
      const { service, simulator } = harness;
      const release = simulator.hold({ on: 'companyinfo', kind: 'slow' });
      const flow = await consent(service, simulator, interrupt);
      const response = callback(service, flow);
      await until(() => simulator.callsTo('api').length > 0);
      relay[interrupt]();
      const isNoticed = interrupt === 'hang' ? nextQuery() : nextFailedConnection();
      release();
      await isNoticed;
      await relay.pass();
      expect((await response).status).toBe(302);
      expect(await status(service, interrupt)).toMatchObject({ connected: true });
      expect(simulator.callsTo('token')).toHaveLength(1);
    },
  );

  it.each([
    ['status', (organization: string) => supertest(harness.service.origin).get(`${PREFIX}/status/${organization}`)],
    ['disconnect', (organization: string) => disconnect(harness.service, organization)],
    ['callback', (organization: string) => connect(harness.service, harness.simulator, organization)],
  ])('makes %s return 503 service_unavailable if it does not respond on open connections', async (name, call) => {
    const { service, simulator } = harness;
    await connect(service, simulator, name);
    simulator.resetCalls();
    relay.hang();
    await expectUnavailable(() => call(name));
    expect(simulator.callsTo('token')).toEqual([]);
    await relay.pass();
    expect((await disconnect(service, name)).status).toBe(200);
  });

  it('does not delay /metrics by more than 2 seconds if it does not respond', async () => {
    const { service, clock, queries } = harness;
    expect(await scrape(service)).toMatchObject({ accounting_database_up: 1, accounting_ready: 1 });
    clock.advance(5 * SECONDS);
    queries.splice(0);
    relay.hang();
    const metrics = scrape(service);
    await until(() => queries.length === 2); // of the database's gauges, and of the check
    clock.advance(2 * SECONDS);
    expect(await metrics).toMatchObject({ accounting_database_up: 0, accounting_ready: 0 });
  });

  it('is reported by /readyz if it does not respond', async () => {
    const http = supertest(harness.service.origin);
    await http.get('/readyz').expect(200); // opens a connection
    harness.queries.splice(0);
    relay.hang();
    const response = Promise.resolve(http.get('/readyz'));
    await until(() => harness.queries.length > 0);
    harness.clock.advance(2 * SECONDS);
    const { status: readiness, body } = await response;
    expect([readiness, body]).toEqual([503, READINESS]);
    await relay.pass();
    await http.get('/readyz').expect(200);
  });

  async function nextQuery(): Promise<void> {
    await once(harness.home.session.knex, 'query');
  }

  async function nextFailedConnection(): Promise<void> {
    await new Promise((resolve) => harness.home.session.knex.client.pool.on('createFail', resolve));
  }
});

/** Every call that needs the database. */
function callsTo(service: TestService, simulator: IntuitSimulator): (() => PromiseLike<Response>)[] {
  return [
    () => connect(service, simulator, 'away'),
    () => supertest(service.origin).get(`${PREFIX}/status/away`),
    () => disconnect(service, 'away'),
  ];
}

async function expectUnavailable(call: () => PromiseLike<Response>): Promise<void> {
  const response = await call();
  expectProblem(response, 503, 'service_unavailable');
  expectRetryAfter(response);
}
