import { setTimeout as delay } from 'node:timers/promises';
import type { TestEnvironment } from '../environment.ts';
import { countByStatus, haveStatus, seconds } from '../measurements.ts';
import { lockRows, untilWaiting } from '../row-lock.ts';
import type { Measurement, ScenarioGroup } from '../scenario.ts';
import { call } from '../traffic.ts';

/** Longer than the lease and the takeover's pause. */
const LONG_PAUSE_MS = 25_000;
/** When another process takes over a lease that was not released, after it first saw it. */
const TAKEOVER_MS = 21_000;
/** Longer than a process may wait for a lease that it then uses. */
const LATE_MS = 4_000;

/** A lease that its owner learns of too late to use it. */
export const lateLeases: ScenarioGroup[] = [
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

async function pauseBeforeSending(environment: TestEnvironment): Promise<Measurement> {
  const [paused, other] = environment.replicas;
  await environment.connectExpired();
  const unlock = await lockRows(environment);
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

async function acquireLate(environment: TestEnvironment): Promise<Measurement> {
  const [first, other] = environment.replicas;
  await environment.connectExpired();
  const unlock = await lockRows(environment);
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
      'served without a takeover': servedMs < TAKEOVER_MS,
      'calls return only 503 and 200': haveStatus(results, 503, 200),
      'no refresh is recorded as started': row.refresh_started_at === null,
    },
  };
}
