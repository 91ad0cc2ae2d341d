import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../../support/until.ts';
import type { Measurement } from '../scenario.ts';
import type { Cluster, ClusterOperations } from './cluster.ts';
import type { ClusterScenario } from './cluster-scenario.ts';
import { expireAllOn } from './connections.ts';
import { disconnectAtOnceWhileLate } from './disconnecting.ts';
import { failBeforeSave } from './kept-responses.ts';
import { slowDown } from './slow-statements.ts';

const KEPT = 'each response is kept and saved: one token call per connection, all served afterwards';
/** What a proxy or an operator takes to notice that a node is gone. */
const MOVE_AFTER_MS = 5_000;
/** Two replicas have 40 connections at most; a few more are the suite's, or of statements that were given up. */
const MAX_THREADS = 45;
const THREADS = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'root'";
const HAS_LOCK = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO = 'DO SLEEP(35)'";

/** What a cluster of three nodes that loses no commit must withstand, whatever its kind. */
export function nodeScenarios({ kind, switchOver, failOver, loseQuorum, lag }: ClusterOperations): ClusterScenario[] {
  return [
    {
      name: `${kind}: the node in use is taken out of service, the host name moves to another`,
      fault: async (cluster, forwarder) => void (await switchOver(cluster, forwarder)),
    },
    {
      name: `${kind}: kill -9 of the node in use, the host name moves to another`,
      fault: async (cluster, forwarder) => {
        cluster.nodes[0]?.signal('SIGKILL');
        await failOver(cluster, forwarder);
        return undefined;
      },
    },
    {
      name: `${kind}: kill -9 of the node in use while 24 responses of Intuit are not saved, the host name moves after 5 s`,
      expected: KEPT,
      measure: (environment, cluster, forwarder) =>
        failBeforeSave(environment, async (releaseResponses) => {
          cluster.nodes[0]?.signal('SIGKILL');
          releaseResponses();
          await delay(MOVE_AFTER_MS);
          await failOver(cluster, forwarder);
          return undefined;
        }),
    },
    {
      name: `${kind}: the node in use has no quorum for 10 s`,
      fault: async (cluster) => void (await loseQuorum(cluster)),
    },
    {
      name: `${kind}: connections to three nodes, one applies nothing for 15 s`,
      isOnAllNodes: true,
      fault: async (cluster) => void (await lagFor15Seconds(cluster, lag)),
    },
    {
      name: `${kind}: connected on one of three nodes, and disconnected at once on another, while one applies late`,
      isOnAllNodes: true,
      expected: 'every connection is disconnected, and its grant revoked',
      measure: disconnectAtOnceWhileLate,
    },
    {
      name: `${kind}: FLUSH TABLES WITH READ LOCK for 35 s on the node in use while 24 responses of Intuit are not saved`,
      expected: `${KEPT}; at most ${MAX_THREADS} connections to the node`,
      measure: (environment, cluster) =>
        failBeforeSave(environment, (releaseResponses) => lockTables(cluster, releaseResponses)),
    },
    ...[3, 6].map((seconds) => ({
      name: `${kind}: every statement takes ${seconds} s longer for 60 s, from the moment at which 16 leases are acquired`,
      expected:
        'each lease is released, by its holder; no connection is lost but those whose grant was revoked meanwhile, which are authorization_revoked',
      measure: slowDown(seconds * 1_000),
    })),
  ];
}

async function lagFor15Seconds({ nodes: [, second, third] }: Cluster, lag: ClusterOperations['lag']): Promise<void> {
  const late = second?.run(...lag.before, 'FLUSH TABLES WITH READ LOCK', 'DO SLEEP(15)', 'UNLOCK TABLES', ...lag.after);
  // What the suite lets expire may wait on the node that is late. It may conflict with a refresh, too.
  await untilEnd(late, async () => {
    await Promise.all([third && expireAllOn(third).catch(() => undefined), delay(1_000)]);
  });
}

/** Longer than a lease and a takeover's pause. */
async function lockTables({ nodes: [first] }: Cluster, releaseResponses: () => void): Promise<Measurement> {
  let threads = 0;
  const locked = first?.run('FLUSH TABLES WITH READ LOCK', 'DO SLEEP(35)', 'UNLOCK TABLES');
  await Promise.race([locked, until(async () => Number(await first?.value(HAS_LOCK)) > 0)]);
  releaseResponses();
  await untilEnd(locked, async () => {
    threads = Math.max(threads, Number(await first?.value(THREADS)));
    await delay(1_000);
  });
  return {
    measured: `at most ${threads} connections to the node`,
    checks: { [`at most ${MAX_THREADS} connections to the node`]: threads <= MAX_THREADS },
  };
}

/** Repeats `work` until the fault has ended. */
async function untilEnd(fault: Promise<void> | undefined, work: () => Promise<void>): Promise<void> {
  let isOver = false;
  const onEnd = () => {
    isOver = true;
  };
  fault?.then(onEnd, onEnd);
  while (!isOver) await work();
  await fault;
}
