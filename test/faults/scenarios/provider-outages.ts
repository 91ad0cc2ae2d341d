import { setTimeout as delay } from 'node:timers/promises';
import type { OAuthTokenRow } from '../../../src/db/tables.ts';
import type { TestEnvironment } from '../environment.ts';
import { countByStatus, haveStatus, maxAttempts, maxLatency, seconds } from '../measurements.ts';
import type { Measurement, Scenario, ScenarioGroup } from '../scenario.ts';
import { type CallResult, callConcurrently } from '../traffic.ts';

const OUTAGE_MS = 10_000;
const MISCONFIGURED_MS = 5_000;
const RETRY_AFTER_SECONDS = 9;
/** How long a replica does not call Intuit after `invalid_client`. */
const COOLDOWN_MS = 2_000;

/** The access token has expired and Intuit cannot be used for a while, while 20 callers keep calling. */
export const providerOutages: ScenarioGroup[] = [
  {
    scenarios: [
      outage('Intuit returns 503 for ten seconds', ({ simulator }) =>
        simulator.fail({ on: 'token', kind: 'status', status: 503, times: null }),
      ),
      outage('Intuit refuses connections for ten seconds', ({ relay }) => relay.refuse()),
      outage('Intuit resets connections for ten seconds', ({ relay }) => relay.reset()),
    ],
  },
  {
    scenarios: [
      {
        name: `Intuit returns 429 with Retry-After: ${RETRY_AFTER_SECONDS}`,
        expected: 'no token call for 9 s; callers receive the seconds that are left; then served',
        run: throttle,
      },
      {
        name: 'Intuit returns invalid_client for five seconds',
        expected: 'only 502; the row is unchanged; at most one token call per replica in 2 s; served afterwards',
        run: misconfigure,
      },
    ],
  },
];

function outage(name: string, start: (environment: TestEnvironment) => void): Scenario {
  return {
    name,
    expected:
      'retried with back-off (at most 5 attempts in 10 s), 503 with Retry-After, nothing deactivated; served afterwards',
    run: (environment) => simulateOutage(environment, start),
  };
}

async function simulateOutage(
  environment: TestEnvironment,
  start: (environment: TestEnvironment) => void,
): Promise<Measurement> {
  const { replicas, relay, simulator } = environment;
  await environment.connectExpired();
  start(environment);
  const traffic = environment.startTraffic({ replicas, callers: 10 });
  await delay(OUTAGE_MS);
  const during = [...traffic.results];
  const { is_active } = await environment.row();
  const attempts = environment.failedRefreshes;
  const outageMs = Date.now() - traffic.startedAt;
  const callsBefore = environment.tokenCalls;
  simulator.clearFaults();
  await relay.pass();
  const servedMs = await traffic.untilStatus(200, Date.now());
  await traffic.stop();
  const later = await callConcurrently(replicas, 20);
  return {
    measured: `${countByStatus(during)}; attempts: ${attempts}; ${maxLatency(during)}; served ${seconds(servedMs)} after the outage`,
    checks: {
      'retried with back-off': attempts >= 1 && attempts <= maxAttempts(outageMs),
      'calls return only 503, with Retry-After in whole seconds': retryAfters(during).length === during.length,
      'nothing is deactivated': is_active === 1,
      'one token call after the outage': environment.tokenCalls === callsBefore + 1,
      'every later call is served': haveStatus(later, 200),
    },
  };
}

async function throttle(environment: TestEnvironment): Promise<Measurement> {
  const { replicas, simulator } = environment;
  await environment.connectExpired();
  simulator.fail({ on: 'token', kind: 'status', status: 429, retryAfter: RETRY_AFTER_SECONDS });
  const traffic = environment.startTraffic({ replicas, callers: 10 });
  const servedMs = await traffic.untilStatus(200);
  const results = await traffic.stop();
  const [first = 0, second = 0] = simulator.callsTo('token', 'refresh_token').map(({ at }) => at.getTime());
  const endsAt = first + RETRY_AFTER_SECONDS * 1000;
  const returned = retryAfters(results);
  const [min, max] = [Math.min(...returned), Math.max(...returned)];
  return {
    measured: `${countByStatus(results)}; token calls: ${environment.tokenCalls}, ${seconds(second - first)} apart; Retry-After from ${max} to ${min}; served after ${seconds(servedMs)}`,
    checks: {
      'no token call for 9 s': second >= endsAt,
      'two token calls': environment.tokenCalls === 2,
      'Retry-After counts down from 9': max === RETRY_AFTER_SECONDS && min >= 1 && min < max,
      'Retry-After never ends before the 9 s': results.every(
        ({ status, at, retryAfter }) => status === 200 || at + Number(retryAfter) * 1000 >= endsAt,
      ),
      'calls return only 503 and 200': haveStatus(results, 503, 200),
    },
  };
}

async function misconfigure(environment: TestEnvironment): Promise<Measurement> {
  const { replicas, simulator } = environment;
  await environment.connectExpired();
  const before = await environment.row();
  simulator.fail({ on: 'token', kind: 'invalid_client', times: null });
  const traffic = environment.startTraffic({ replicas, callers: 10 });
  await delay(MISCONFIGURED_MS);
  const during = [...traffic.results];
  const { tokenCalls } = environment;
  const maxCalls = replicas.length * (1 + Math.floor((Date.now() - traffic.startedAt) / COOLDOWN_MS));
  const isChanged = !isEqual(before, await environment.row());
  simulator.clearFaults();
  const servedMs = await traffic.untilStatus(200, Date.now());
  await traffic.stop();
  return {
    measured: `${countByStatus(during)}; token calls: ${tokenCalls}; row ${isChanged ? 'changed' : 'unchanged'}; served ${seconds(servedMs)} afterwards`,
    checks: {
      'calls return only 502': haveStatus(during, 502),
      'at most one token call per replica in 2 s': tokenCalls <= maxCalls,
      'the row is unchanged': !isChanged,
    },
  };
}

/** Compares two states of a row, without the columns that every attempt to refresh changes. */
function isEqual(before: OAuthTokenRow, after: OAuthTokenRow): boolean {
  const ignored = {
    updated_at: 0,
    refresh_lease_owner: 0,
    refresh_lease_expires_at: 0,
    refresh_started_at: 0,
    next_maintenance_at: 0,
  };
  return JSON.stringify({ ...before, ...ignored }) === JSON.stringify({ ...after, ...ignored });
}

/** The `Retry-After` of each 503, if it is in whole seconds. */
function retryAfters(results: CallResult[]): number[] {
  const valid = results.filter(({ status, retryAfter }) => status === 503 && /^[1-9]\d*$/.test(retryAfter ?? ''));
  return valid.map(({ retryAfter }) => Number(retryAfter));
}
