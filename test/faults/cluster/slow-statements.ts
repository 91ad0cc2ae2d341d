import { setTimeout as delay } from 'node:timers/promises';
import type { ServiceProcess } from '../../support/processes.ts';
import type { TestEnvironment } from '../environment.ts';
import { countByStatus, haveStatus, maxLatency, seconds } from '../measurements.ts';
import { lockRows, untilWaiting } from '../row-lock.ts';
import type { Measurement } from '../scenario.ts';
import { type CallResult, call } from '../traffic.ts';
import type { Cluster } from './cluster.ts';
import { connectMany, expireAll, realmOf, tableOn } from './connections.ts';
import type { Forwarder } from './forwarder.ts';

/** Eight for each replica: fewer than its connections to the database, so that all write at once. */
const CONNECTIONS = 16;
const REVOKED = 8;
const SLOW_MS = 60_000;
const RELEASE_MS = 15_000;

/**
 * Makes the database slow at the moment at which both replicas acquire leases, so that they learn of it too late or not at
 * all. Meanwhile users revoke half of the grants.
 */
export function slowDown(delayMs: number) {
  return async (environment: TestEnvironment, cluster: Cluster, forwarder: Forwarder): Promise<Measurement> => {
    const { replicas, simulator, knex } = environment;
    const organizations = await connectMany(environment, CONNECTIONS);
    const revoked = organizations.slice(0, REVOKED);
    await expireAll(environment);
    simulator.resetCalls();
    const unlock = await lockRows(environment, organizations);
    const acquiring = Promise.all(organizations.map((each, index) => call(replicas[index % 2] ?? replicas[0], each)));
    await untilWaiting(environment, CONNECTIONS);
    forwarder.delayResponses(delayMs);
    const unlocked = unlock();
    const acquired = await maxLeases(cluster, unlocked);
    const traffic = environment.startTraffic({ replicas, organizations, callers: 1, pauseMs: 300 });
    for (const organization of revoked) simulator.revokeGrant(realmOf(organization));
    await delay(SLOW_MS);
    const results = [...(await traffic.stop()), ...(await acquiring)];
    const during = environment.tokenCalls;
    forwarder.delayResponses(0);

    // Without callers, no process takes a lease over: only its holder can release it.
    const startedAt = performance.now();
    let leases = await countLeases(cluster);
    while (leases > 0 && performance.now() - startedAt < RELEASE_MS) {
      await delay(100);
      leases = await countLeases(cluster);
    }
    const releasedMs = performance.now() - startedAt;
    await expireAll(environment);
    // A holder learns of the release of its lease later: of statements that were slow.
    const [ended, served] = await Promise.all([
      Promise.all(revoked.map((organization) => callUntilDecided(replicas[0], organization))),
      Promise.all(organizations.slice(REVOKED).map((organization) => callUntilDecided(replicas[1], organization))),
    ]);
    const lost = await knex('oauth_tokens').where({ is_active: 0 });
    const reasons = lost.map(({ deactivation_reason }) => deactivation_reason);
    const isRevoked = reasons.every((reason) => reason === 'authorization_revoked');
    const figures = [
      `${acquired} leases acquired`,
      `calls ${countByStatus(results)}`,
      maxLatency(results),
      `refreshes meanwhile: ${during}`,
      leases > 0 ? `leases not released: ${leases}` : `all leases released after ${seconds(releasedMs)}`,
      `revoked ${countByStatus(ended)} (${[...new Set(reasons)]})`,
      `the others ${countByStatus(served)}`,
    ];
    return {
      measured: figures.join('; '),
      checks: {
        'leases were acquired': acquired > 0,
        'every lease is released by its holder': leases === 0,
        'only the revoked connections are lost': lost.length === REVOKED && haveStatus(ended, 409),
        'they are lost as revoked': isRevoked,
        'the others are served': haveStatus(served, 200),
      },
    };
  };
}

/** Calls again while the response is 503. */
async function callUntilDecided(replica: ServiceProcess, organization: string): Promise<CallResult> {
  for (;;) {
    const result = await call(replica, organization);
    if (result.status !== 503) return result;
    await delay(300);
  }
}

/** The maximum number of leases that the database has until `end`. */
async function maxLeases(cluster: Cluster, end: Promise<void>): Promise<number> {
  let isOver = false;
  const over = end.then(() => {
    isOver = true;
  });
  let max = 0;
  while (!isOver) {
    max = Math.max(max, await countLeases(cluster));
    await delay(100);
  }
  await over;
  return max;
}

/** Counts on the node itself, which responds without delay. */
async function countLeases({ nodes: [first] }: Cluster): Promise<number> {
  const count = first?.value(`SELECT COUNT(*) FROM ${await tableOn(first)} WHERE refresh_lease_owner IS NOT NULL`);
  return Number(await count);
}
