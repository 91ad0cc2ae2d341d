import { REALM, type TestEnvironment } from '../environment.ts';
import { countByStatus, haveStatus, maxLatency } from '../measurements.ts';
import type { Measurement, ScenarioGroup } from '../scenario.ts';
import { call, callConcurrently } from '../traffic.ts';

const DELAY_MS = 7_000;

/** Every response of Intuit arrives shortly before its timeout, and a call needs three of them. */
export const slowProvider: ScenarioGroup[] = [
  {
    scenarios: [
      {
        name: 'every response takes 7 s of the 10 s timeout, and the API rejects a token that is fresh by its record',
        expected: 'calls return 200 or 503 after less than two timeouts; one token call; served afterwards',
        run: callSlowProvider,
      },
    ],
  },
];

async function callSlowProvider(environment: TestEnvironment): Promise<Measurement> {
  const { replicas, simulator } = environment;
  await environment.connect();
  simulator.expireAccessTokens(REALM);
  for (const on of ['api', 'token'] as const) simulator.fail({ on, kind: 'slow', delayMs: DELAY_MS, times: null });
  const results = await callConcurrently(replicas, 10);
  simulator.clearFaults();
  const after = await call(replicas[0]);
  const { tokenCalls } = environment;
  return {
    measured: `${countByStatus(results)}; ${maxLatency(results)}; token calls: ${tokenCalls}; afterwards ${after.status}`,
    checks: {
      'calls return 200 or 503': haveStatus(results, 200, 503),
      'one token call': tokenCalls === 1,
      'served afterwards': after.status === 200,
    },
  };
}
