import { setTimeout as delay } from 'node:timers/promises';
import { REALM, type TestEnvironment } from '../environment.ts';
import { countByStatus, haveStatus, seconds } from '../measurements.ts';
import type { Measurement, ScenarioGroup } from '../scenario.ts';
import { call, callConcurrently } from '../traffic.ts';

const EXPECTED = 'the response is awaited and saved; exit 0; the other replica serves without a token call';

/** A replica is stopped while it refreshes. Each scenario ends a replica and therefore has its own environment. */
export const shutdowns: ScenarioGroup[] = [
  shutdown('SIGTERM during a refresh, callers waiting', -60, ['SIGTERM']),
  shutdown('SIGTERM during a refresh, no caller waiting (4 minutes left)', 240, ['SIGTERM']),
  shutdown('SIGTERM twice during a refresh', -60, ['SIGTERM', 'SIGTERM']),
  {
    scenarios: [
      {
        name: 'SIGTERM, and 6 s later the API rejects the token of a call in flight: a refresh could not finish in time',
        expected: 'no token is rotated that cannot be saved; exit 0; the other replica serves',
        run: stopBeforeRefresh,
      },
    ],
  },
];

function shutdown(name: string, secondsLeft: number, signals: NodeJS.Signals[]): ScenarioGroup {
  return {
    options: { timeoutMs: 20_000 },
    scenarios: [
      { name, expected: EXPECTED, run: (environment) => stopDuringRefresh(environment, secondsLeft, signals) },
    ],
  };
}

async function stopDuringRefresh(
  environment: TestEnvironment,
  secondsLeft: number,
  signals: NodeJS.Signals[],
): Promise<Measurement> {
  const [stopped, other] = environment.replicas;
  await environment.connect();
  await environment.setTimeLeft(secondsLeft);
  const releaseResponses = environment.relay.delayResponses('grant_type=refresh_token');
  const waiting = callConcurrently([stopped], 5);
  await environment.untilTokenCalls(1);
  await fetch(`${stopped.origin}/healthz`); // the replica has then accepted the calls that were sent before
  await delay(1_000);
  const startedAt = performance.now();
  for (const signal of signals) {
    void stopped.kill(signal);
    await delay(500);
  }
  releaseResponses();
  const code = await stopped.ended;
  const durationMs = performance.now() - startedAt;
  const results = await waiting;
  const { generation } = await environment.row();
  const later = await callConcurrently([other], 10);
  const { tokenCalls } = environment;
  return {
    measured: `exit ${code} after ${seconds(durationMs)}; calls ${countByStatus(results)}; token calls: ${tokenCalls}; the other replica: ${countByStatus(later)}`,
    checks: {
      'exit 0': code === 0,
      'the waiting callers are served': haveStatus(results, 200),
      'the response is saved': generation === 1,
      'the other replica serves': haveStatus(later, 200),
      'one token call': tokenCalls === 1,
    },
  };
}

async function stopBeforeRefresh(environment: TestEnvironment): Promise<Measurement> {
  const { simulator } = environment;
  const [stopped, other] = environment.replicas;
  await environment.connect();
  simulator.expireAccessTokens(REALM);
  simulator.resetCalls();
  simulator.fail({ on: 'api', kind: 'slow', delayMs: 6_000 });
  simulator.fail({ on: 'token', grantType: 'refresh_token', kind: 'slow_after', delayMs: 9_500 });
  const inFlight = call(stopped);
  while (simulator.callsTo('api').length === 0) await delay(20);
  const startedAt = performance.now();
  const code = await stopped.kill('SIGTERM');
  const durationMs = performance.now() - startedAt;
  const { tokenCalls } = environment;
  simulator.clearFaults();
  const later = [await call(other)];
  while (later.at(-1)?.status === 503) {
    await delay(500);
    later.push(await call(other));
  }
  return {
    measured: `exit ${code} after ${seconds(durationMs)}; call ${(await inFlight).status}; token calls of the stopped replica: ${tokenCalls}; the other replica: ${countByStatus(later)}`,
    checks: {
      'exit 0': code === 0,
      'the other replica serves': later.at(-1)?.status === 200,
    },
  };
}
