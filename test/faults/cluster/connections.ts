import type { TestEnvironment } from '../environment.ts';
import type { ClusterNode } from './cluster.ts';

/** Connects this many organizations, in turn through each replica. Returns them. */
export async function connectMany(environment: TestEnvironment, count: number): Promise<string[]> {
  const organizations = Array.from({ length: count }, (_, index) => `org-${index}`);
  for (const [index, organization] of organizations.entries()) {
    await environment.connect({
      organization,
      realmId: realmOf(organization),
      replica: environment.replicas[index % 2],
    });
  }
  return organizations;
}

/** The company of an organization. */
export function realmOf(organization: string): string {
  return `93414520000010${organization.replace('org-', '').padStart(2, '0')}`; // too long for a number
}

/** Lets all access tokens expire by the service's own record. */
export async function expireAll({ knex }: TestEnvironment): Promise<void> {
  const access_token_expires_at = new Date(Date.now() - 60_000);
  await knex('oauth_tokens').where({ is_active: 1 }).update({ access_token_expires_at });
}

/** The same by one node alone, although statements on another wait. */
export async function expireAllOn(node: ClusterNode): Promise<void> {
  await node.run(
    `UPDATE ${await tableOn(node)} SET access_token_expires_at = UTC_TIMESTAMP(3) - INTERVAL 1 MINUTE WHERE is_active = 1`,
  );
}

/** The name of the service's table, for statements on one node. */
export async function tableOn(node: ClusterNode): Promise<string> {
  const database = await node.value(
    "SELECT TABLE_SCHEMA FROM information_schema.TABLES WHERE TABLE_NAME = 'oauth_tokens'",
  );
  return `${database}.oauth_tokens`;
}
