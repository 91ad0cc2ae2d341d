import { REALM, type TestEnvironment } from '../environment.ts';
import { countByStatus, haveStatus, maxLatency } from '../measurements.ts';
import type { Measurement, Scenario, ScenarioGroup } from '../scenario.ts';
import { callConcurrently } from '../traffic.ts';

/** The user disconnects the app inside QuickBooks, and then 40 callers arrive at two replicas. */
export const revokedGrants: ScenarioGroup[] = [
  {
    scenarios: [
      scenario('grant revoked, access token expired, 40 callers', (environment) => environment.connectExpired()),
      scenario('grant revoked, access token fresh by its record, 40 callers', (environment) => environment.connect()),
    ],
  },
];

function scenario(name: string, connect: (environment: TestEnvironment) => Promise<void>): Scenario {
  return {
    name,
    expected: 'at most two token calls in all; every call returns 409; the status is authorization_revoked',
    run: async (environment) => {
      await connect(environment);
      return revoke(environment);
    },
  };
}

async function revoke(environment: TestEnvironment): Promise<Measurement> {
  environment.simulator.revokeGrant(REALM);
  const first = await callConcurrently(environment.replicas, 40);
  const second = await callConcurrently(environment.replicas, 40);
  const { connected, reason } = await environment.status();
  const { tokenCalls } = environment;
  return {
    measured: `${countByStatus(first)}, then ${countByStatus(second)}; token calls: ${tokenCalls}; ${maxLatency(first)}; status: ${reason}`,
    checks: {
      'every call returns 409': haveStatus([...first, ...second], 409),
      'at most two token calls': tokenCalls <= 2,
      'the status is authorization_revoked': !connected && reason === 'authorization_revoked',
    },
  };
}
