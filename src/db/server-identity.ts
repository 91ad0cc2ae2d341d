import type { Run } from './session-settings.ts';

/** What distinguishes servers. Of these, each has only some. */
const SERVER = ['server_uuid', 'server_id', 'hostname', 'port'];
/** What all nodes of a cluster share, if its failovers lose no commit: Galera, Group Replication. */
const GALERA = ['wsrep_on', 'wsrep_cluster_name'];
const GROUP = 'group_replication_group_name';

/** Identifies the server of a connection, or the cluster that it belongs to. */
export async function identifyServer(run: Run): Promise<string> {
  const names = [...SERVER, ...GALERA, GROUP].map((name) => `'${name}'`);
  const rows = await run(`SHOW VARIABLES WHERE Variable_name IN (${names.join(', ')})`);
  const values = new Map(rows.map((row) => [String(row['Variable_name']), String(row['Value'])]));
  if (values.get('wsrep_on') === 'ON') return `galera ${values.get('wsrep_cluster_name')}`;
  if (values.get(GROUP)) return `group ${values.get(GROUP)}`;
  return SERVER.map((name) => values.get(name)).join(' ');
}
