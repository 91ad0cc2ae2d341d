import { setTimeout as delay } from 'node:timers/promises';
import type { DatabaseServer } from '../database-server.ts';
import type { TestEnvironment } from '../environment.ts';
import { countByStatus, haveStatus, maxLatency, seconds } from '../measurements.ts';
import type { Measurement, Scenario, ScenarioGroup } from '../scenario.ts';
import { call } from '../traffic.ts';

const SHORT_MS = 2_000;
/** Longer than a lease: PROVIDER_TIMEOUT_MS and 5 s. */
const LONG_MS = 18_000;
/** How long the first response waits for the others: on a busy machine, some are sent only after the outage. */
const MAX_HELD_MS = 3_000;
const ORGANIZATIONS = Array.from({ length: 14 }, (_, index) => `org-${index}`);

/** The database fails between the rotation and the save of 14 connections, while another replica is under load. */
export const databaseOutages: ScenarioGroup[] = [
  {
    options: { hasDatabaseServer: true },
    scenarios: [
      scenario('database killed (-9) between rotation and save, back within the lease', 'SIGKILL', SHORT_MS),
      scenario('database killed (-9) between rotation and save, back after the lease expired', 'SIGKILL', LONG_MS),
    ],
  },
  {
    options: { hasDatabaseServer: true },
    scenarios: [
      scenario('database shut down between rotation and save, back after the lease expired', 'SIGTERM', LONG_MS),
      scenario('database frozen between rotation and save, back after the lease expired', 'SIGSTOP', LONG_MS),
    ],
  },
];

function scenario(name: string, signal: NodeJS.Signals, outageMs: number): Scenario {
  return {
    name,
    expected:
      'each response is kept and saved: one token call per connection, only 503 meanwhile, all served afterwards',
    run: (environment) => simulateOutage(environment, signal, outageMs),
  };
}

async function simulateOutage(
  environment: TestEnvironment,
  signal: NodeJS.Signals,
  outageMs: number,
): Promise<Measurement> {
  const database = environment.databaseServer as DatabaseServer;
  const [refreshing, other] = environment.replicas;
  for (const [index, organization] of ORGANIZATIONS.entries()) {
    await environment.connectExpired({ organization, realmId: `${1000 + index}` });
  }
  const releaseResponses = environment.relay.delayResponses('grant_type=refresh_token');
  const waiting = Promise.all(ORGANIZATIONS.map((organization) => call(refreshing, organization)));
  await environment.untilTokenCalls(1);
  await Promise.race([environment.untilTokenCalls(ORGANIZATIONS.length), delay(MAX_HELD_MS)]);
  const held = environment.tokenCalls;
  await database.stop(signal);
  releaseResponses();
  const traffic = environment.startTraffic({
    replicas: [other],
    organizations: ORGANIZATIONS,
    callers: 2,
    pauseMs: 100,
  });
  await delay(outageMs);
  await database.start();
  const backAt = Date.now();
  const isServed = (organization: string) =>
    traffic.results.some(
      (result) => result.organization === organization && result.status === 200 && result.at > backAt,
    );
  await traffic.until(() => ORGANIZATIONS.every(isServed));
  const recoveryMs = Date.now() - backAt;
  const results = [...(await traffic.stop()), ...(await waiting)];
  const { tokenCalls } = environment;

  for (const organization of ORGANIZATIONS) await environment.setTimeLeft(-60, organization);
  const refreshed = await Promise.all(ORGANIZATIONS.map((organization) => call(other, organization)));
  return {
    measured: `(${database.kind}) ${held} responses kept; ${countByStatus(results)}; token calls: ${tokenCalls}; all served ${seconds(recoveryMs)} after the outage; ${maxLatency(results)}; refreshed again: ${countByStatus(refreshed)}`,
    checks: {
      'one token call per connection': tokenCalls === ORGANIZATIONS.length,
      'calls return only 503 and 200': haveStatus(results, 503, 200),
      'the saved tokens can be refreshed': haveStatus(refreshed, 200),
    },
  };
}
