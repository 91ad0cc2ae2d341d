import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../../support/until.ts';
import type { DatabaseServer } from '../database-server.ts';
import { REALM, type TestEnvironment } from '../environment.ts';
import { countByStatus, haveStatus } from '../measurements.ts';
import type { Measurement, ScenarioGroup } from '../scenario.ts';
import { call } from '../traffic.ts';

const OTHER_REALM = '9341452000000002';
const THROTTLED = { Fault: { Error: [{ Message: 'ThrottleExceeded', code: '3001' }], type: 'SERVICE' } };
const OUTAGE_MS = 15_000;

/** What happens to a grant between the exchange of its code and its use, and to the other users of its company. */
export const newGrants: ScenarioGroup[] = [
  {
    scenarios: [
      {
        name: 'two organizations use a company, and one connects it again while QuickBooks throttles companyinfo',
        expected: 'it is connected; nothing is revoked; both are served',
        run: connectThrottled,
      },
      {
        name: "a callback names another organization's company",
        expected: '400; nothing is stored or revoked; the other organization is served',
        run: claimCompany,
      },
      {
        name: 'kill -9 between the exchange of a code and its store',
        expected: 'the repeated callback returns 503, and nothing is exchanged twice; connecting again succeeds',
        run: killAfterExchange,
      },
    ],
  },
  {
    options: { hasDatabaseServer: true },
    scenarios: [
      {
        name: 'the database is killed (-9) between the exchange of a code and its store, and is back after 15 s',
        expected: 'the callback returns 503; the status is connected afterwards, by the same grant; served',
        run: storeAfterOutage,
      },
      {
        name: 'the same, and the process is stopped by SIGTERM meanwhile',
        expected: 'the grant is revoked before the process ends',
        run: revokeAtShutdown,
      },
    ],
  },
];

async function connectThrottled(environment: TestEnvironment): Promise<Measurement> {
  const { simulator, replicas } = environment;
  for (const organization of ['org', 'other']) await environment.connect({ organization });
  simulator.fail({ on: 'companyinfo', kind: 'status', status: 403, body: THROTTLED });
  await environment.connect({ organization: 'org' });
  const results = [await call(replicas[0], 'org'), await call(replicas[1], 'other')];
  const revocations = simulator.callsTo('revoke').length;
  return {
    measured: `calls ${countByStatus(results)}; revocations: ${revocations}`,
    checks: { 'both are served': haveStatus(results, 200), 'nothing is revoked': revocations === 0 },
  };
}

async function claimCompany(environment: TestEnvironment): Promise<Measurement> {
  const { simulator, replicas } = environment;
  await environment.connect({ organization: 'other' });
  const { path, cookie } = await environment.consent({ organization: 'org', realmId: OTHER_REALM });
  const claimed = path.replace(OTHER_REALM, REALM);
  const { status } = await fetch(replicas[0].origin + claimed, { headers: { cookie }, redirect: 'manual' });
  const result = await call(replicas[1], 'other');
  const { connected } = await environment.status('org');
  const revocations = simulator.callsTo('revoke').length;
  return {
    measured: `callback ${status}; the other organization: ${result.status}; revocations: ${revocations}`,
    checks: {
      'the callback is rejected': status === 400,
      'nothing is stored': !connected,
      'the other organization is served': result.status === 200,
      'nothing is revoked': revocations === 0,
    },
  };
}

async function killAfterExchange(environment: TestEnvironment): Promise<Measurement> {
  const { simulator, replicas } = environment;
  const [killed, other] = replicas;
  const { path, cookie } = await environment.consent();
  simulator.fail({ on: 'token', grantType: 'authorization_code', kind: 'hang_after' });
  const callback = fetch(killed.origin + path, { headers: { cookie }, redirect: 'manual' }).catch(() => undefined);
  await until(() => exchanges(environment) === 1);
  await killed.kill('SIGKILL');
  await callback;
  const repeated = await fetch(other.origin + path, { headers: { cookie }, redirect: 'manual' });
  const exchanged = exchanges(environment);
  await environment.connect({ replica: other });
  const { status } = await call(other);
  return {
    measured: `repeated callback ${repeated.status}; exchanges of the code: ${exchanged}; connected again: ${status}`,
    checks: {
      'the repeated callback returns 503': repeated.status === 503,
      'one exchange': exchanged === 1,
      'served after connecting again': status === 200,
    },
  };
}

async function storeAfterOutage(environment: TestEnvironment): Promise<Measurement> {
  const [replica, other] = environment.replicas;
  const { callback, database } = await loseDatabaseDuringCallback(environment);
  const { status } = (await callback) as Response;
  await delay(OUTAGE_MS);
  await database.start();
  await until(async () => (await environment.status().catch(() => undefined))?.connected);
  const results = [await call(replica), await call(other)];
  const revocations = environment.simulator.callsTo('revoke').length;
  return {
    measured: `callback ${status}; connected afterwards; calls ${countByStatus(results)}; exchanges: ${exchanges(environment)}; revocations: ${revocations}`,
    checks: {
      'the callback returns 503': status === 503,
      'one exchange': exchanges(environment) === 1,
      served: haveStatus(results, 200),
      'nothing is revoked': revocations === 0,
    },
  };
}

async function revokeAtShutdown(environment: TestEnvironment): Promise<Measurement> {
  const [replica] = environment.replicas;
  const { callback, database } = await loseDatabaseDuringCallback(environment);
  const code = await replica.kill('SIGTERM');
  const response = await callback;
  const grant = environment.simulator.grantFor(REALM);
  await database.start();
  return {
    measured: `exit ${code}; callback ${response?.status}; grant revoked: ${grant?.revoked}`,
    checks: { 'the grant is revoked': grant?.revoked === true, 'the callback returns 503': response?.status === 503 },
  };
}

/** Kills the database while a callback's code is being exchanged. The callback then receives the grant. */
async function loseDatabaseDuringCallback(environment: TestEnvironment) {
  const database = environment.databaseServer as DatabaseServer;
  const [replica] = environment.replicas;
  const { path, cookie } = await environment.consent();
  const release = environment.simulator.hold({ on: 'token', kind: 'slow_after' });
  const callback = fetch(replica.origin + path, { headers: { cookie }, redirect: 'manual' }).catch(() => undefined);
  await until(() => exchanges(environment) === 1);
  await database.stop('SIGKILL');
  release();
  return { callback, database };
}

function exchanges({ simulator }: TestEnvironment): number {
  return simulator.callsTo('token', 'authorization_code').length;
}
