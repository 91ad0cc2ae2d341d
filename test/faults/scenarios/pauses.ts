import { setTimeout as delay } from 'node:timers/promises';
import type { ServiceProcess } from '../../support/processes.ts';
import { until } from '../../support/until.ts';
import type { TestEnvironment } from '../environment.ts';
import { countByStatus, haveStatus, seconds } from '../measurements.ts';
import { lockRows, untilWaiting } from '../row-lock.ts';
import type { Measurement, ScenarioGroup } from '../scenario.ts';
import { call } from '../traffic.ts';

/** Longer than PROVIDER_TIMEOUT_MS, shorter than a takeover of the lease. */
const PAUSE_MS = 11_000;
/** Longer than the lease and the takeover's pause. */
const LONG_PAUSE_MS = 25_000;
/** What a process prints when its event loop is blocked. */
const BLOCKED = 'event loop blocked';
/** A module with which SIGUSR2 blocks the event loop for as long as a pause, as a long computation does. */
const BLOCKABLE = `data:text/javascript,${encodeURIComponent(`process.on('SIGUSR2', () => {
  console.log('${BLOCKED}');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ${PAUSE_MS});
})`)}`;
const CROWD = 200;
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
    options: { intuit: { rotationGrace: true } },
    scenarios: [
      {
        name: 'paused for 25 s while the response arrives, with a grace period for the old token; another replica takes over',
        expected:
          'its late response replaces nothing: served meanwhile and afterwards, and the tokens can be refreshed',
        run: pauseUntilTakeover,
      },
    ],
  },
  {
    options: { intuit: { reuseRevokesFamily: false } },
    scenarios: [
      {
        name: 'paused for 25 s while the response arrives, without a grace period; another replica takes over',
        expected:
          'lost while it is paused, with the reason rotation_lost; its late response recovers the connection: served, and the tokens can be refreshed',
        run: pauseUntilLoss,
      },
    ],
  },
  {
    scenarios: [
      {
        name: 'the same, and Intuit revokes the grant of a refresh token that is sent twice',
        expected:
          'lost, with the reason rotation_lost; its late response recovers the connection until the worker finds the grant revoked; served after connecting again',
        run: pauseUntilRevocation,
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

async function pauseUntilTakeover(environment: TestEnvironment): Promise<Measurement> {
  const [paused, other] = environment.replicas;
  const { waiting } = await pauseWithResponse(environment);
  const traffic = environment.startTraffic({ replicas: [other], callers: 2 });
  const servedMs = await traffic.untilStatus(200);
  await delay(Math.max(0, LONG_PAUSE_MS - servedMs));
  process.kill(paused.pid, 'SIGCONT');
  const late = await waiting;
  const results = [...(await traffic.stop()), late, await call(paused)];
  const { tokenCalls } = environment;
  await environment.setTimeLeft(-60);
  const refreshed = await Promise.all([call(other), call(paused)]);
  return {
    measured: `${countByStatus(results)}; served by the other replica after ${seconds(servedMs)}; token calls: ${tokenCalls}; refreshed again: ${countByStatus(refreshed)}`,
    checks: {
      'two token calls': tokenCalls === 2,
      'calls return only 503 and 200': haveStatus(results, 503, 200),
      'the tokens can be refreshed': haveStatus(refreshed, 200),
    },
  };
}

/** Pauses the first replica before it reads the response to its refresh, for which a caller waits. */
async function pauseWithResponse(environment: TestEnvironment) {
  const [paused] = environment.replicas;
  await environment.connectExpired();
  const release = environment.simulator.hold({ on: 'token', kind: 'slow_after' });
  const waiting = call(paused);
  await environment.untilTokenCalls(1);
  process.kill(paused.pid, 'SIGSTOP');
  release();
  return { waiting };
}

/** Pauses a replica that has a response until the other one has sent the old token, and lets it continue. */
async function pausePastTakeover(environment: TestEnvironment) {
  const [paused, other] = environment.replicas;
  const { waiting } = await pauseWithResponse(environment);
  const traffic = environment.startTraffic({ replicas: [other], callers: 2 });
  const lostMs = await traffic.untilStatus(409);
  const { reason } = await environment.status();
  await delay(Math.max(0, LONG_PAUSE_MS - lostMs));
  process.kill(paused.pid, 'SIGCONT');
  return { traffic, continuedAt: Date.now(), lostMs, reason, late: await waiting };
}

async function pauseUntilLoss(environment: TestEnvironment): Promise<Measurement> {
  const { traffic, continuedAt, lostMs, reason, late } = await pausePastTakeover(environment);
  const servedMs = await traffic.untilStatus(200, continuedAt);
  const results = [...(await traffic.stop()), late];
  await environment.setTimeLeft(-60);
  const refreshed = await Promise.all(environment.replicas.map((replica) => call(replica)));
  return {
    measured: `${countByStatus(results)}; ${reason} after ${seconds(lostMs)}; served ${seconds(servedMs)} after it continued; refreshed again: ${countByStatus(refreshed)}`,
    checks: {
      'lost with the reason rotation_lost': reason === 'rotation_lost',
      'calls return only 503, 409 and 200': haveStatus(results, 503, 409, 200),
      'connected again': (await environment.status()).connected,
      'the tokens can be refreshed': haveStatus(refreshed, 200),
    },
  };
}

async function pauseUntilRevocation(environment: TestEnvironment): Promise<Measurement> {
  const { traffic, lostMs, reason, late } = await pausePastTakeover(environment);
  // Two generations for the first loss and the recovery, one for the second loss.
  await until(async () => (await environment.row()).generation === 3);
  const results = [...(await traffic.stop()), late];
  const { tokenCalls } = environment;
  const status = await environment.status();
  await environment.connect();
  const again = await Promise.all(environment.replicas.map((replica) => call(replica)));
  return {
    measured: `${countByStatus(results)}; ${reason} after ${seconds(lostMs)}; recovered, then ${status.reason}; token calls: ${tokenCalls}; connected again: ${countByStatus(again)}`,
    checks: {
      'lost with the reason rotation_lost': reason === 'rotation_lost' && status.reason === 'rotation_lost',
      'three token calls': tokenCalls === 3,
      'served after connecting again': haveStatus(again, 200),
    },
  };
}

async function pauseDuringSave(environment: TestEnvironment): Promise<Measurement> {
  const [paused, other] = environment.replicas;
  await environment.connectExpired();
  const release = environment.simulator.hold({ on: 'token', kind: 'slow_after' });
  const waiting = call(paused);
  await environment.untilTokenCalls(1);
  const unlock = await lockRows(environment);
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
