import { setTimeout as delay } from 'node:timers/promises';
import type { TestEnvironment } from '../environment.ts';
import { countByStatus, haveStatus, maxLatency } from '../measurements.ts';
import type { Measurement } from '../scenario.ts';
import { call } from '../traffic.ts';
import { connectMany, expireAll } from './connections.ts';

const CONNECTIONS = 24;
const EXPIRE_EVERY_MS = 1_000;

/** Refreshes 24 connections again and again during a fault, until each was refreshed after it, and counts the violations. */
export async function refreshDuring(
  environment: TestEnvironment,
  fault: () => Promise<Measurement | undefined>,
): Promise<Measurement> {
  const { replicas, simulator, knex } = environment;
  const organizations = await connectMany(environment, CONNECTIONS);
  simulator.resetCalls();
  let isRunning = true;
  const expireRepeatedly = async () => {
    while (isRunning) {
      await expireAll(environment).catch(() => undefined);
      await delay(EXPIRE_EVERY_MS);
    }
  };
  const expiring = expireRepeatedly();
  const traffic = environment.startTraffic({ replicas, organizations, callers: 1, pauseMs: 300 });
  await environment.untilTokenCalls(CONNECTIONS);
  const before = environment.tokenCalls;
  const observed = await fault();
  const during = environment.tokenCalls - before;
  await environment.untilTokenCalls(environment.tokenCalls + 2 * CONNECTIONS);
  isRunning = false;
  await expiring;
  const results = await traffic.stop();

  await expireAll(environment);
  const final = await Promise.all(organizations.map((organization) => call(replicas[0], organization)));
  const lost = await knex('oauth_tokens').where({ is_active: 0 });
  const reasons = lost.map(({ deactivation_reason }) => deactivation_reason);
  const tokens = simulator.callsTo('token', 'refresh_token').map(({ token }) => token);
  const sentTwice = tokens.length - new Set(tokens).size;
  const figures = [
    `lost ${lost.length} of ${CONNECTIONS}${lost.length > 0 ? ` (${[...new Set(reasons)]})` : ''}`,
    `sent twice: ${sentTwice} of ${tokens.length} refreshes, ${during} of them during the fault`,
    ...(observed ? [observed.measured] : []),
    `calls ${countByStatus(results)}`,
    maxLatency(results),
    `afterwards ${countByStatus(final)}`,
  ];
  return {
    measured: figures.join('; '),
    checks: {
      ...observed?.checks,
      'no connection is lost': lost.length === 0,
      'no refresh token is sent twice': sentTwice === 0,
      'all are served afterwards': haveStatus(final, 200),
    },
  };
}
