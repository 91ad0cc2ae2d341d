import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../../support/until.ts';
import type { TestEnvironment } from '../environment.ts';
import { countByStatus, haveStatus } from '../measurements.ts';
import type { Measurement } from '../scenario.ts';
import { call } from '../traffic.ts';
import type { Cluster } from './cluster.ts';
import { connectMany, expireAll } from './connections.ts';

/** More than the connections of two replicas and the statements that they gave up: each holds its own row's lock. */
const CONNECTIONS = 150;
const UNCONFIRMED_MS = 60_000;
const CALLS_PER_SECOND = 20;
/** Of two replicas, each with 20 connections and 10 statements that were given up. A few more are the suite's. */
export const MAX_THREADS = 65;
const CLIENTS = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE DB LIKE 'test%'";

/** Lets a semi-synchronous primary wait for a confirmation of each commit, while one connection after the other is called. */
export async function confirmNothing(
  environment: TestEnvironment,
  { nodes: [primary, replica] }: Cluster,
): Promise<Measurement> {
  const { replicas, simulator, knex } = environment;
  const organizations = await connectMany(environment, CONNECTIONS);
  await expireAll(environment);
  simulator.resetCalls();
  await replica?.run('STOP REPLICA IO_THREAD');
  const endsAt = performance.now() + UNCONFIRMED_MS;
  const calls: ReturnType<typeof call>[] = [];
  const statuses = new Map<number, number>();
  let threads = 0;
  while (performance.now() < endsAt) {
    for (let at = 0; at < CALLS_PER_SECOND; at += 1) {
      const index = calls.length;
      calls.push(call(replicas[index % 2] ?? replicas[0], organizations[index % CONNECTIONS]));
    }
    for (const { origin } of replicas) {
      const { status } = await fetch(`${origin}/api/v1/oauth/quickbooks/status/org-0`);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    threads = Math.max(threads, Number(await primary?.value(CLIENTS)));
    await delay(1_000);
  }
  await replica?.run('START REPLICA IO_THREAD');
  const during = await Promise.all(calls);
  const isServed = async (organization: string) => (await call(replicas[0], organization)).status === 200;
  for (const organization of organizations) await until(() => isServed(organization)); // leases in doubt are released first
  const final = await Promise.all(organizations.map((organization) => call(replicas[0], organization)));
  const lost = await knex('oauth_tokens').where({ is_active: 0 });
  const tokens = simulator.callsTo('token', 'refresh_token').map(({ token }) => token);
  const sentTwice = tokens.length - new Set(tokens).size;
  return {
    measured: [
      `lost ${lost.length} of ${CONNECTIONS}`,
      `sent twice: ${sentTwice} of ${tokens.length} refreshes`,
      `at most ${threads} connections to the primary`,
      `status ${[...statuses].map(([status, count]) => `${status} × ${count}`).join(', ')}`,
      `calls ${countByStatus(during)}`,
      `afterwards ${countByStatus(final)}`,
    ].join('; '),
    checks: {
      'no connection is lost': lost.length === 0,
      'no refresh token is sent twice': sentTwice === 0,
      [`at most ${MAX_THREADS} connections to the primary`]: threads <= MAX_THREADS,
      'each status is read': statuses.size === 1 && statuses.has(200),
      'all are served afterwards': haveStatus(final, 200),
    },
  };
}
