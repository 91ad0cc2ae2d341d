import { setTimeout as delay } from 'node:timers/promises';
import type { OrganizationId } from '../../../src/models/connection.ts';
import type { ServiceProcess } from '../../support/processes.ts';
import { until } from '../../support/until.ts';
import type { TestEnvironment } from '../environment.ts';
import { countByStatus, haveStatus, seconds } from '../measurements.ts';
import type { Measurement, ScenarioGroup } from '../scenario.ts';
import { call } from '../traffic.ts';

/** Longer than PROVIDER_TIMEOUT_MS, shorter than a takeover of the lease. */
const PAUSE_MS = 11_000;
/** Longer than the lease and the takeover's pause. */
const LONG_PAUSE_MS = 25_000;
/** Longer than a process may wait for a lease that it then uses. */
const LATE_MS = 4_000;
/** What a process prints when its event loop is blocked. */
const BLOCKED = 'event loop blocked';
/** A module with which SIGUSR2 blocks the event loop for as long as a pause, as a long computation does. */
const BLOCKABLE = `data:text/javascript,${encodeURIComponent(`process.on('SIGUSR2', () => {
  console.log('${BLOCKED}');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ${PAUSE_MS});
})`)}`;
const CROWD = 200;
/** The server reads its list of transactions again only if nobody has read it for 0.1 s. */
const TRANSACTIONS_CACHED_MS = 150;
const ORGANIZATIONS = Array.from({ length: 8 }, (_, index) => `org-${index}`);

/** A process that does not run for a while: a pause of its virtual machine, limits of its CPU, SIGSTOP. */
export const pauses: ScenarioGroup[] = [
  {
    scenarios: [
      {
        name: 'paused for 11 s (the timeout is 10 s) while the responses to 8 refreshes arrive',
        expected: 'each response is read and saved: one token call per connection, all served afterwards',
        run: (environment) => pauseBeforeResponse(environment, stop),
      },
    ],
  },
  {
    options: { nodeArguments: ['--import', BLOCKABLE] },
    scenarios: [
      {
        name: 'its event loop is busy for 11 s, and then with 200 requests, while the responses to 8 refreshes arrive',
        expected: 'each response is read and saved: one token call per connection, all served afterwards',
        run: (environment) => pauseBeforeResponse(environment, block),
      },
    ],
  },
  {
    scenarios: [
      {
        name: 'paused for 25 s while it saves a response; another replica has callers meanwhile',
        expected: 'the response is saved: one token call, only 503 until then, served afterwards',
        run: pauseDuringSave,
      },
    ],
  },
  {
    scenarios: [
      {
        name: 'paused for 25 s after it acquired the lease, before it sends the token; another replica refreshes meanwhile',
        expected: 'it sends nothing when it continues: one token call, served throughout',
        run: pauseBeforeSending,
      },
    ],
  },
  {
    scenarios: [
      {
        name: 'the write that acquires the lease takes 4 s',
        expected:
          'the lease is released at once, and the record that a refresh started is removed; served by one token call',
        run: acquireLate,
      },
    ],
  },
];

/** Lets a process not run for `PAUSE_MS`. @param meanwhile called once it does not run */
type Pause = (process: ServiceProcess, meanwhile: () => void) => Promise<void>;

async function stop({ pid }: ServiceProcess, meanwhile: () => void): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  meanwhile();
  await delay(PAUSE_MS);
  process.kill(pid, 'SIGCONT');
}

/** Keeps the event loop busy: at first with one computation, then with all the requests that arrived meanwhile. */
async function block({ pid, origin, stdout }: ServiceProcess, meanwhile: () => void): Promise<void> {
  process.kill(pid, 'SIGUSR2');
  await until(() => stdout().includes(BLOCKED));
  meanwhile();
  await Promise.all(Array.from({ length: CROWD }, async () => (await fetch(`${origin}/metrics`)).text()));
}

async function pauseBeforeResponse(environment: TestEnvironment, pause: Pause): Promise<Measurement> {
  const [paused, other] = environment.replicas;
  for (const [index, organization] of ORGANIZATIONS.entries()) {
    await environment.connectExpired({ organization, realmId: `${1000 + index}` });
  }
  const release = environment.simulator.hold({ on: 'token', kind: 'slow_after', times: ORGANIZATIONS.length });
  const waiting = Promise.all(ORGANIZATIONS.map((organization) => call(paused, organization)));
  await environment.untilTokenCalls(ORGANIZATIONS.length);
  const pausedAt = Date.now();
  await pause(paused, release);
  const results = await waiting;
  const served = await Promise.all(ORGANIZATIONS.map((organization) => call(other, organization)));
  const { tokenCalls } = environment;
  return {
    measured: `calls ${countByStatus(results)}, then ${countByStatus(served)}; token calls: ${tokenCalls}`,
    checks: {
      'one token call per connection': tokenCalls === ORGANIZATIONS.length,
      'no response was read before the pause ended': results.every(({ at }) => at >= pausedAt + PAUSE_MS),
      'all served afterwards': haveStatus(served, 200),
    },
  };
}

async function pauseBeforeSending(environment: TestEnvironment): Promise<Measurement> {
  const [paused, other] = environment.replicas;
  await environment.connectExpired();
  const unlock = await lockRow(environment);
  const waiting = call(paused);
  await untilWaiting(environment);
  process.kill(paused.pid, 'SIGSTOP');
  await unlock(); // the lease is acquired, but the process does not know
  const traffic = environment.startTraffic({ replicas: [other], callers: 2 });
  const servedMs = await traffic.untilStatus(200);
  await delay(Math.max(0, LONG_PAUSE_MS - servedMs));
  process.kill(paused.pid, 'SIGCONT');
  const { status } = await waiting;
  const results = [...(await traffic.stop()), await call(paused)];
  const { connected } = await environment.status();
  const { tokenCalls } = environment;
  return {
    measured: `${countByStatus(results)}; served by the other replica after ${seconds(servedMs)}; the paused call ${status}; token calls: ${tokenCalls}`,
    checks: {
      'one token call': tokenCalls === 1,
      'calls return only 503 and 200': haveStatus(results, 503, 200),
      'still connected': connected,
    },
  };
}

async function pauseDuringSave(environment: TestEnvironment): Promise<Measurement> {
  const [paused, other] = environment.replicas;
  await environment.connectExpired();
  const release = environment.simulator.hold({ on: 'token', kind: 'slow_after' });
  const waiting = call(paused);
  await environment.untilTokenCalls(1);
  const unlock = await lockRow(environment);
  release();
  await untilWaiting(environment);
  process.kill(paused.pid, 'SIGSTOP');
  await unlock(); // the save's statement is executed, but its transaction is not committed
  const traffic = environment.startTraffic({ replicas: [other], callers: 2 });
  await delay(LONG_PAUSE_MS);
  process.kill(paused.pid, 'SIGCONT');
  const continuedAt = Date.now();
  const servedMs = await traffic.untilStatus(200, continuedAt);
  const results = [...(await traffic.stop()), await waiting, await call(paused)];
  const { tokenCalls } = environment;
  return {
    measured: `${countByStatus(results)}; served ${seconds(servedMs)} after it continued; token calls: ${tokenCalls}`,
    checks: {
      'one token call': tokenCalls === 1,
      'calls return only 503 and 200': haveStatus(results, 503, 200),
      'still connected': (await environment.status()).connected,
    },
  };
}

async function acquireLate(environment: TestEnvironment): Promise<Measurement> {
  const [first, other] = environment.replicas;
  await environment.connectExpired();
  const unlock = await lockRow(environment);
  const waiting = call(first);
  await untilWaiting(environment);
  await delay(LATE_MS);
  await unlock();
  const traffic = environment.startTraffic({ replicas: [other], callers: 2 });
  const servedMs = await traffic.untilStatus(200);
  const results = [...(await traffic.stop()), await waiting];
  const row = await environment.row();
  const { tokenCalls } = environment;
  return {
    measured: `${countByStatus(results)}; served ${seconds(servedMs)} after the row was free; token calls: ${tokenCalls}`,
    checks: {
      'one token call': tokenCalls === 1,
      'calls return only 503 and 200': haveStatus(results, 503, 200),
      'no refresh is recorded as started': row.refresh_started_at === null,
    },
  };
}

/** Locks the connection's row, so that every write to it waits. Returns how to unlock it. */
async function lockRow({ knex }: TestEnvironment): Promise<() => Promise<void>> {
  const transaction = await knex.transaction();
  await transaction('oauth_tokens')
    .where({ organization_id: 'org' as OrganizationId })
    .forUpdate();
  return async () => {
    await transaction.commit();
  };
}

/** Resolves once a write waits for the row. */
async function untilWaiting({ knex }: TestEnvironment): Promise<void> {
  await until(async () => {
    await delay(TRANSACTIONS_CACHED_MS);
    const waiting = await knex('information_schema.innodb_trx').where({ trx_state: 'LOCK WAIT' });
    return waiting.length > 0;
  });
}
