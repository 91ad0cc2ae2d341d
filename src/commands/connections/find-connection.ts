import type { ConnectionListDatastore } from '../../datastores/connection-list-datastore.ts';
import type { Connection, ConnectionKey } from '../../models/connection.ts';
import { CommandError } from '../command-error.ts';

/** @throws CommandError if the organization has no connection, active or lost */
export async function findConnection(
  tokens: { findCurrent(key: ConnectionKey): Promise<Connection | undefined> },
  key: ConnectionKey,
): Promise<Connection> {
  const connection = await tokens.findCurrent(key);
  if (!connection) throw new CommandError(`${key.organizationId} has no connection to ${key.system}.`);
  return connection;
}

/** Returns the other organizations with an active connection to the company. */
export async function findOthers(
  connectionList: ConnectionListDatastore,
  { system, realmId, organizationId }: Connection,
): Promise<string[]> {
  const others = [];
  for await (const other of connectionList.listAll({ system, realmId, state: 'active' })) {
    if (other.organizationId !== organizationId) others.push(other.organizationId);
  }
  return others;
}
