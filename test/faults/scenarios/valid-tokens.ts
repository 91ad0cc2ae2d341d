import { setTimeout as delay } from 'node:timers/promises';
import type { Fault } from '../../../dev/intuit-simulator/faults.ts';
import type { TestEnvironment } from '../environment.ts';
import { countByStatus, haveStatus, maxAttempts, maxLatency } from '../measurements.ts';
import type { Measurement, Scenario, ScenarioGroup } from '../scenario.ts';
import { callConcurrently } from '../traffic.ts';

const OUTAGE_MS = 3_000;
const HANGS: Fault = { on: 'token', kind: 'hang', times: null };
const FAILS: Fault = { on: 'token', kind: 'status', status: 503, times: null };

/** The access token is still valid but due for a refresh, and Intuit's token endpoint is unavailable. */
export const validTokens: ScenarioGroup[] = [
  {
    isExclusive: true,
    scenarios: [
      scenario('4 minutes left, the token endpoint hangs', 240, HANGS),
      scenario('4 minutes left, the token endpoint returns 503', 240, FAILS),
      scenario('25 seconds left, the token endpoint hangs', 25, HANGS),
      scenario('25 seconds left, the token endpoint returns 503', 25, FAILS),
    ],
  },
];

function scenario(name: string, secondsLeft: number, fault: Fault): Scenario {
  const expected = 'every call is served with the valid token';
  return { name, expected, run: (environment) => callDuringOutage(environment, secondsLeft, fault) };
}

async function callDuringOutage(environment: TestEnvironment, secondsLeft: number, fault: Fault): Promise<Measurement> {
  const { replicas, simulator } = environment;
  await environment.connect();
  await callConcurrently(replicas, 20); // a replica's first calls open its connections
  await environment.setTimeLeft(secondsLeft);
  simulator.fail(fault);
  const traffic = environment.startTraffic({ replicas, callers: 3 });
  await delay(OUTAGE_MS);
  const results = await traffic.stop();
  const { tokenCalls } = environment;
  return {
    measured: `${countByStatus(results)}; token calls: ${tokenCalls}; ${maxLatency(results)}`,
    checks: {
      'every call is served': haveStatus(results, 200),
      'the refresh is attempted, with back-off':
        tokenCalls >= 1 && tokenCalls <= maxAttempts(Date.now() - traffic.startedAt),
    },
  };
}
