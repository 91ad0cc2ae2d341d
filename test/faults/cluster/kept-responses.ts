import { setTimeout as delay } from 'node:timers/promises';
import type { TestEnvironment } from '../environment.ts';
import { countByStatus, haveStatus, maxLatency } from '../measurements.ts';
import type { Measurement } from '../scenario.ts';
import { call } from '../traffic.ts';
import { connectMany, expireAll } from './connections.ts';

/** What happens until the host name points to a node that can be used. It lets the responses pass once it has begun. */
type FaultBeforeSave = (releaseResponses: () => void) => Promise<Measurement | undefined>;

const CONNECTIONS = 24;
/** How long the first response waits for the others: on a busy machine, some are sent only after the fault. */
const MAX_HELD_MS = 3_000;

/** Lets the node in use fail between the rotation and the save of 24 connections, while each has callers. */
export async function failBeforeSave(environment: TestEnvironment, fault: FaultBeforeSave): Promise<Measurement> {
  const { replicas, relay, simulator, knex } = environment;
  const organizations = await connectMany(environment, CONNECTIONS);
  await expireAll(environment);
  simulator.resetCalls();
  const releaseResponses = relay.delayResponses('grant_type=refresh_token');
  const callEach = () =>
    Promise.all(organizations.map((organization, index) => call(replicas[index % 2] ?? replicas[0], organization)));
  const waiting = callEach();
  await environment.untilTokenCalls(1);
  await Promise.race([environment.untilTokenCalls(CONNECTIONS), delay(MAX_HELD_MS)]);
  const held = environment.tokenCalls;
  const traffic = environment.startTraffic({ replicas, organizations, callers: 1, pauseMs: 300 });
  const observed = await fault(releaseResponses);
  const endedAt = Date.now();
  const isServed = (organization: string) =>
    traffic.results.some((each) => each.organization === organization && each.status === 200 && each.at > endedAt);
  await traffic.until(() => organizations.every(isServed));
  const results = [...(await traffic.stop()), ...(await waiting)];
  const { tokenCalls } = environment;
  await expireAll(environment);
  const final = await callEach();
  const lost = await knex('oauth_tokens').where({ is_active: 0 });
  const figures = [
    `lost ${lost.length} of ${CONNECTIONS}`,
    `${held} responses kept`,
    ...(observed ? [observed.measured] : []),
    `token calls: ${tokenCalls}`,
    `calls ${countByStatus(results)}`,
    maxLatency(results),
    `refreshed again: ${countByStatus(final)}`,
  ];
  return {
    measured: figures.join('; '),
    checks: {
      ...observed?.checks,
      'no connection is lost': lost.length === 0,
      'responses were kept': held > 0,
      'one token call per connection': tokenCalls === CONNECTIONS,
      'the saved tokens can be refreshed': haveStatus(final, 200),
    },
  };
}
