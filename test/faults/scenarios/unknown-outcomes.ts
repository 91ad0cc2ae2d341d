import { until } from '../../support/until.ts';
import type { TestEnvironment } from '../environment.ts';
import { countByStatus, haveStatus, maxLatency, seconds } from '../measurements.ts';
import type { Measurement, ScenarioGroup } from '../scenario.ts';
import type { EnvironmentOptions } from '../start-environment.ts';
import { call, callConcurrently, type Traffic } from '../traffic.ts';

/** A refresh whose outcome the service does not know: its replica was killed, or Intuit did not respond. */
export const unknownOutcomes: ScenarioGroup[] = [
  served('kill -9 of the refreshing replica before Intuit rotates', (environment) => killDuring(environment, 'hang')),
  served(
    'kill -9 after Intuit rotated, with a grace period for the old token',
    (environment) => killDuring(environment, 'hang_after'),
    { intuit: { rotationGrace: true } },
  ),
  lost('kill -9 after Intuit rotated, without a grace period', (environment) => killDuring(environment, 'hang_after')),
  {
    scenarios: [
      {
        name: 'kill -9 of the refreshing replica while the old token has 4 minutes left',
        expected: 'every call is served; the other replica refreshes the token',
        run: killWhileValid,
      },
    ],
  },
  served('Intuit never responds to a refresh', (environment) => timeOut(environment, 'hang')),
  served(
    'Intuit rotates but never responds, with a grace period for the old token',
    (environment) => timeOut(environment, 'hang_after'),
    { intuit: { rotationGrace: true } },
  ),
  lost('Intuit rotates but never responds, without a grace period', (environment) =>
    timeOut(environment, 'hang_after'),
  ),
];

/** Starts a refresh whose outcome remains unknown, and the traffic that follows it. */
type Start = (environment: TestEnvironment) => Promise<Traffic>;

function served(name: string, start: Start, options: EnvironmentOptions = {}): ScenarioGroup {
  const expected = 'calls return only 503 until the lease has expired; then served after a second token call';
  return { options, scenarios: [{ name, expected, run: (environment) => untilServed(environment, start) }] };
}

function lost(name: string, start: Start): ScenarioGroup {
  const expected = 'lost, with the reason rotation_lost; served after connecting again';
  return { scenarios: [{ name, expected, run: (environment) => untilLost(environment, start) }] };
}

async function killDuring(environment: TestEnvironment, kind: 'hang' | 'hang_after'): Promise<Traffic> {
  const [killed, other] = environment.replicas;
  await environment.connectExpired();
  environment.simulator.fail({ on: 'token', grantType: 'refresh_token', kind });
  const calls = callConcurrently([killed], 5);
  await environment.untilTokenCalls(1);
  await killed.kill('SIGKILL');
  await calls;
  return environment.startTraffic({ replicas: [other] });
}

async function timeOut(environment: TestEnvironment, kind: 'hang' | 'hang_after'): Promise<Traffic> {
  await environment.connectExpired();
  environment.simulator.fail({ on: 'token', grantType: 'refresh_token', kind });
  return environment.startTraffic({ replicas: environment.replicas });
}

async function untilServed(environment: TestEnvironment, start: Start): Promise<Measurement> {
  const traffic = await start(environment);
  const servedMs = await traffic.untilStatus(200);
  const results = await traffic.stop();
  const later = await callConcurrently(traffic.replicas, 20);
  const { tokenCalls } = environment;
  return {
    measured: `${countByStatus(results)}; token calls: ${tokenCalls}; ${maxLatency(results)}; served after ${seconds(servedMs)}`,
    checks: {
      'calls return only 503 and 200': haveStatus(results, 503, 200),
      'every later call is served': haveStatus(later, 200),
      'two token calls': tokenCalls === 2,
    },
  };
}

async function untilLost(environment: TestEnvironment, start: Start): Promise<Measurement> {
  const traffic = await start(environment);
  const lostMs = await traffic.untilStatus(409);
  const results = await traffic.stop();
  const { connected, reason } = await environment.status();
  const { tokenCalls } = environment;
  const [replica] = traffic.replicas as [(typeof environment.replicas)[0]];
  await environment.connect({ replica });
  const { status } = await call(replica);
  return {
    measured: `${countByStatus(results)}; token calls: ${tokenCalls}; ${maxLatency(results)}; ${reason} after ${seconds(lostMs)}; connected again: ${status}`,
    checks: {
      'the reason is rotation_lost': !connected && reason === 'rotation_lost',
      'calls return only 503 and 409': haveStatus(results, 503, 409),
      'two token calls': tokenCalls === 2,
      'served after connecting again': status === 200,
    },
  };
}

async function killWhileValid(environment: TestEnvironment): Promise<Measurement> {
  const [killed, other] = environment.replicas;
  await environment.connect();
  await environment.setTimeLeft(240);
  environment.simulator.fail({ on: 'token', grantType: 'refresh_token', kind: 'hang' });
  await call(killed);
  await environment.untilTokenCalls(1);
  await killed.kill('SIGKILL');
  const traffic = environment.startTraffic({ replicas: [other] });
  await until(async () => (await environment.row()).generation === 1);
  const refreshedMs = Date.now() - traffic.startedAt;
  const results = await traffic.stop();
  return {
    measured: `${countByStatus(results)}; token calls: ${environment.tokenCalls}; refreshed after ${seconds(refreshedMs)}`,
    checks: { 'every call is served': haveStatus(results, 200) },
  };
}
