import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { loadDatabaseConfig } from '../../src/config/config.ts';
import { openSession, type Session } from '../../src/db/session.ts';
import { systemClock } from '../../src/utils/clock.ts';
import { type FakeServer, startFakeServer } from '../support/fake-server.ts';
import { codeOf } from '../support/harness.ts';

describe('a session on a server that fails', () => {
  let server: FakeServer;
  let session: Session;
  beforeEach(async () => {
    server = await startFakeServer();
    session = openSession(loadDatabaseConfig({ DATABASE_URL: server.url }), systemClock);
  });
  afterEach(async () => {
    await session.close();
    await server.close();
  });

  it.each(['BEGIN', 'COMMIT', 'ROLLBACK'])('closes a connection whose %s failed', async (statement) => {
    server.respond = (sql) => (sql.startsWith(statement) ? 1568 : undefined);
    const failing = session.transaction(async (trx) => {
      await trx.raw('UPDATE things SET count = 1');
      if (statement === 'ROLLBACK') throw new Error('an internal fault');
    });
    expect(await codeOf(failing)).toBe('service_unavailable');
    server.respond = () => undefined;
    await session.transaction((trx) => trx.raw('UPDATE things SET count = 2'));
    expect(connectionsOf(/count = 2/)).not.toContain(connectionsOf(new RegExp(`^${statement}`))[0]);
    expect(session.pool().used).toBe(0);
  });

  it('closes a connection whose SET TRANSACTION failed', async () => {
    server.respond = (sql) => (sql.startsWith('SET TRANSACTION') ? 1568 : undefined);
    await expect(session.knex.transaction(async () => undefined, { isolationLevel: 'serializable' })).rejects.toThrow();
    await update(2);
    expect(connectionsOf(/count = 2/)).not.toContain(connectionsOf(/^SET TRANSACTION/)[0]);
    expect(session.pool().used).toBe(0);
  });

  it('keeps a connection whose statement failed by a fault of the statement', async () => {
    server.respond = (sql) => (sql.includes('count = 1') ? 1062 : undefined);
    expect(await codeOf(update(1))).toBe('ER_DUP_ENTRY');
    await update(2);
    expect(connectionsOf(/UPDATE/)).toEqual([1, 1]);
  });

  it('loses no statement in a planned failover, and uses no connection to the previous primary again', async () => {
    await openConnections(4);
    const previous = new Set(connectionsOf(/BEGIN/));
    expect(previous.size).toBe(4);
    const received = server.statements.length;
    server.respond = (sql, connection) => (previous.has(connection) && sql.includes('UPDATE') ? 1290 : undefined);
    await Promise.all(Array.from({ length: 8 }, (_, index) => update(index)));
    await Promise.all(Array.from({ length: 8 }, (_, index) => update(index)));
    const later = server.statements.slice(received).filter(({ sql }) => sql.includes('UPDATE'));
    const rejected = later.filter(({ connection }) => previous.has(connection));
    expect(rejected.length).toBeGreaterThan(0);
    expect(rejected.length).toBeLessThanOrEqual(previous.size);
    expect(later.filter(({ connection }) => !previous.has(connection))).toHaveLength(16);
  });

  it('uses a connection for 35 s at most, since a previous primary does not reject reads', async () => {
    const read = async () => session.read((db) => db.raw('SELECT the_status'));
    await read();
    const now = performance.now();
    const monotonic = jest.spyOn(performance, 'now').mockReturnValue(now + 20_000);
    try {
      await read();
      monotonic.mockReturnValue(now + 36_000);
      await read();
    } finally {
      monotonic.mockRestore();
    }
    expect(connectionsOf(/the_status/)).toEqual([1, 1, 2]);
  });

  it.each([1209, 1290, 1792, 1836, 3100])('tries error %i three times, each on a new connection', async (code) => {
    server.respond = (sql) => (sql.includes('UPDATE') ? code : undefined);
    expect(await codeOf(update(1))).toBe('service_unavailable');
    expect(connectionsOf(/UPDATE/)).toEqual([1, 2, 3]);
  });

  it.each([1047, 1053])('closes the connections to a node that reports error %i', async (code) => {
    server.respond = (sql) => (sql.includes('count = 1') ? code : undefined);
    expect(await codeOf(update(1))).toBe('service_unavailable');
    await update(2);
    expect(connectionsOf(/UPDATE/)).toEqual([1, 2]);
  });

  it.each([1213, 1020, 3101])('tries a statement again after error %i', async (code) => {
    let failures = 2;
    server.respond = (sql) => {
      if (!sql.includes('UPDATE') || failures === 0) return undefined;
      failures -= 1;
      return code;
    };
    await update(1);
    expect(connectionsOf(/UPDATE/)).toHaveLength(3);
  });

  it.each([1205, 1226, 1142, 1862, 3032, 3118, 3159, 1114, 1030, 1461, 1815, 3024, 9999])(
    'reports error %i as service_unavailable, after one try',
    async (code) => {
      server.respond = (sql) => (sql.includes('UPDATE') ? code : undefined);
      expect(await codeOf(update(1))).toBe('service_unavailable');
      expect(connectionsOf(/UPDATE/)).toHaveLength(1);
    },
  );

  it.each([1064, 1054, 1048, 1062, 1264, 1366, 1406, 1451, 1452, 3819, 4025])(
    'reports error %i as its own fault, without the text of the server',
    async (code) => {
      server.respond = (sql) => (sql.includes('UPDATE') ? code : undefined);
      const error = await update(1).then(
        () => undefined,
        (thrown) => thrown,
      );
      expect(error).toMatchObject({ name: 'DatabaseError', errno: code });
      expect(error.message).not.toContain('canary');
    },
  );

  it.each([1040, 1045, 1049, 1064, 1129, 1203, 3118, 9999])(
    'reports any error while connecting, such as %i, as service_unavailable',
    async (code) => {
      server.rejectConnections = code;
      expect(await codeOf(update(1))).toBe('service_unavailable');
      server.rejectConnections = undefined;
      await update(1);
    },
  );

  it('reports a setting that the server does not permit to pin as service_unavailable, and closes the connection', async () => {
    server.respond = (sql) => (sql.includes('sql_mode') ? 1227 : undefined);
    expect(await codeOf(update(1))).toBe('service_unavailable');
    expect(session.pool()).toEqual({ used: 0, idle: 0, waiting: 0 });
  });

  it('reads while every connection for writes waits', async () => {
    await openConnections(10, () => session.read((db) => db.raw('SELECT 1')));
  });

  /** Uses as many connections at the same time. @param meanwhile runs while all are in use */
  async function openConnections(count: number, meanwhile?: () => Promise<unknown>): Promise<void> {
    const releases: (() => void)[] = [];
    const transactions = Array.from({ length: count }, () =>
      session.transaction(() => new Promise<void>((resolve) => releases.push(resolve))),
    );
    while (releases.length < count) await systemClock.nextTurn();
    await meanwhile?.();
    for (const release of releases) release();
    await Promise.all(transactions);
  }

  async function update(count: number): Promise<void> {
    await session.query((db) => db.raw(`UPDATE things SET count = ${count}`));
  }

  function connectionsOf(statement: RegExp): number[] {
    return server.statements.filter(({ sql }) => statement.test(sql)).map(({ connection }) => connection);
  }
});
