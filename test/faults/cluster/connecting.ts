import { until } from '../../support/until.ts';
import type { TestEnvironment } from '../environment.ts';
import { countByStatus, haveStatus } from '../measurements.ts';
import type { Measurement } from '../scenario.ts';
import { call } from '../traffic.ts';
import { type ClusterNode, portOf } from './cluster.ts';
import { connectMany, expireAll, tableOn } from './connections.ts';
import type { Forwarder } from './forwarder.ts';

const CONNECTIONS = 24;

/**
 * Connects organizations, and refreshes every other one through the replica that did not connect it; then another node,
 * which has none of this, takes the place of the one in use.
 * @param replace puts the node in its place
 */
export async function connectBefore(
  environment: TestEnvironment,
  { pointTo }: Forwarder,
  replace: () => Promise<ClusterNode | undefined>,
): Promise<Measurement> {
  const { replicas, simulator, knex } = environment;
  const organizations = await connectMany(environment, CONNECTIONS);
  const refreshed = organizations.filter((_, index) => index % 4 < 2);
  await expireAll(environment);
  simulator.resetCalls();
  const other = (organization: string) => replicas[(organizations.indexOf(organization) + 1) % 2] ?? replicas[0];
  await Promise.all(refreshed.map((organization) => call(other(organization), organization)));
  const before = environment.tokenCalls;
  const node = await replace();
  const kept = Number(await node?.value(`SELECT COUNT(*) FROM ${await tableOn(node)}`));
  pointTo(portOf(node));

  const isConnected = async (organization: string) => (await environment.status(organization)).connected;
  await until(async () => (await Promise.all(organizations.map(isConnected))).every(Boolean));
  const isRestored = async () => (await knex('oauth_tokens').where('generation', '>', 0)).length === refreshed.length;
  await until(() => isRestored().catch(() => false)); // connections to the old primary fail at first
  await expireAll(environment);
  const final = await Promise.all(organizations.map((organization) => call(replicas[0], organization)));
  const rows = await knex('oauth_tokens');
  const events = await knex('connection_events').where({ type: 'connected' });
  const tokens = simulator.callsTo('token', 'refresh_token').map(({ token }) => token);
  const sentTwice = tokens.length - new Set(tokens).size;
  const active = rows.filter(({ is_active }) => is_active === 1).length;
  return {
    measured: [
      `${CONNECTIONS} connected, ${refreshed.length} of them refreshed; replicated: ${kept}`,
      `connected afterwards: ${active}, with ${rows.length} rows and ${events.length} events`,
      `sent twice: ${sentTwice} of ${tokens.length} refreshes`,
      `afterwards ${countByStatus(final)}`,
    ].join('; '),
    checks: {
      'no commit was replicated': kept === 0,
      'some were refreshed before': before === refreshed.length,
      'each is connected once': active === CONNECTIONS && rows.length === CONNECTIONS && events.length === CONNECTIONS,
      'no refresh token is sent twice': sentTwice === 0,
      'all are served afterwards': haveStatus(final, 200),
    },
  };
}
