import { describe, expect, it, jest } from '@jest/globals';
import type { Knex } from 'knex';
import { loadDatabaseConfig } from '../../src/config/config.ts';
import { identifyServer } from '../../src/db/server-identity.ts';
import { openSession } from '../../src/db/session.ts';
import { systemClock } from '../../src/utils/clock.ts';
import { startTcpRelay } from '../support/tcp-relay.ts';
import { until } from '../support/until.ts';

const { TEST_MYSQL_URL, TEST_MARIADB_URL } = process.env;

describe('the identity of a server', () => {
  it.each([
    ['MySQL servers', { server_uuid: 'a', server_id: '1' }, { server_uuid: 'b', server_id: '1' }],
    ['MariaDB servers', { wsrep_on: 'OFF', hostname: 'a', port: '1' }, { wsrep_on: 'OFF', hostname: 'b', port: '1' }],
  ])('distinguishes %s', async (_, one, other) => {
    expect(await identityOf(one)).toBe(await identityOf(one));
    expect(await identityOf(one)).not.toBe(await identityOf(other));
  });

  it.each([
    ['Galera', { wsrep_on: 'ON', wsrep_cluster_name: 'accounting' }],
    ['Group Replication', { group_replication_group_name: '6ba7b810-9dad-11d1-80b4-00c04fd430c8' }],
  ])('is the same for all nodes of %s, whose failovers lose no commit', async (_, cluster) => {
    expect(await identityOf({ ...cluster, server_uuid: 'a' })).toBe(await identityOf({ ...cluster, server_uuid: 'b' }));
  });

  it('is not that of a cluster if the server has left it', async () => {
    const cluster = { wsrep_cluster_name: 'accounting', group_replication_group_name: '', hostname: 'a' };
    expect(await identityOf({ ...cluster, wsrep_on: 'OFF' })).not.toMatch(/galera|group/);
  });
});

const describeOnBoth = TEST_MYSQL_URL && TEST_MARIADB_URL ? describe : describe.skip;

describeOnBoth('a session whose address moves from one server to another', () => {
  it('notices the closed connections, and the other server', async () => {
    const relay = await startTcpRelay(String(TEST_MARIADB_URL));
    const session = openSession(loadDatabaseConfig({ DATABASE_URL: relay.url }), systemClock);
    const listener = { onOtherServer: jest.fn(), onDisconnect: jest.fn() };
    session.servers.addListener(listener);
    const query = () => session.query((db) => db.raw('SELECT 1'));
    try {
      await Promise.all([query(), query(), session.read((db) => db.raw('SELECT 1'))]);
      expect(listener.onOtherServer).not.toHaveBeenCalled();
      relay.redirect(String(TEST_MYSQL_URL));
      relay.refuse();
      await until(() => listener.onDisconnect.mock.calls.length > 0);
      await relay.pass();
      await query();
      expect(listener.onOtherServer).toHaveBeenCalledTimes(1);
      await session.read((db) => db.raw('SELECT 1'));
      expect(listener.onOtherServer).toHaveBeenCalledTimes(1);
    } finally {
      await session.close();
      relay.close();
    }
  });

  it('uses no connection to the previous server again, although it still responds', async () => {
    const relay = await startTcpRelay(String(TEST_MARIADB_URL));
    const session = openSession(loadDatabaseConfig({ DATABASE_URL: relay.url }), systemClock);
    const versionOf = async (db: Knex) => JSON.stringify(await db.raw('SELECT VERSION() AS version'));
    try {
      expect(await session.query(versionOf)).toContain('MariaDB');
      relay.redirect(String(TEST_MYSQL_URL));
      expect(await session.read(versionOf)).not.toContain('MariaDB'); // the first of its own pool
      expect(await session.query(versionOf)).not.toContain('MariaDB');
    } finally {
      await session.close();
      relay.close();
    }
  });
});

async function identityOf(variables: Record<string, string>): Promise<string> {
  return identifyServer(async () =>
    Object.entries(variables).map(([name, value]) => ({ Variable_name: name, Value: value })),
  );
}
