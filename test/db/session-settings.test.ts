import { expect, it } from '@jest/globals';
import { loadDatabaseConfig } from '../../src/config/config.ts';
import { openKnex, openSession } from '../../src/db/session.ts';
import { systemClock } from '../../src/utils/clock.ts';
import { createOnServer } from '../support/own-database.ts';
import { describeOwnServers } from '../support/own-server.ts';

describeOwnServers('a connection', (start, kind) => {
  it('sends values apart from the statement, waits for locks less long than for statements, and reads causally only for decisions', async () => {
    const server = await start();
    const [setting, causal, fast] =
      kind === 'MySQL' ? ['group_replication_consistency', 'BEFORE', 'EVENTUAL'] : ['wsrep_sync_wait', 7, 0];
    if (kind === 'MySQL') {
      await server.run(
        "INSTALL PLUGIN group_replication SONAME 'group_replication.so'",
        'SET GLOBAL group_replication_consistency = EVENTUAL',
      );
    }
    const { url } = await createOnServer(server.url);
    const config = loadDatabaseConfig({ DATABASE_URL: url });
    const session = openSession(config, systemClock);
    const migrating = openKnex(config);

    const text = `'; DROP TABLE x; -- \\' é`;
    const [[row]] = await session.query((db) =>
      db.raw('SELECT ? AS text, ? AS number, ? AS instant', [text, 7, EPOCH]),
    );
    expect([row.text, Number(row.number), new Date(row.instant)]).toEqual([text, 7, EPOCH]);
    const [[executed]] = await session.query((db) => db.raw("SHOW SESSION STATUS LIKE 'Com_stmt_execute'"));
    expect(executed.Value).toBe('1');

    const select = `SELECT @@innodb_lock_wait_timeout AS innodb, @@lock_wait_timeout AS lock_wait, @@${setting} AS consistency`;
    const limits = { innodb: 4, lock_wait: 4 };
    const [[decisions]] = await session.query((db) => db.raw(select));
    const [[reads]] = await session.read((db) => db.raw(select));
    const [[migrations]] = await migrating.raw(select);
    expect([decisions, reads]).toEqual([
      { ...limits, consistency: causal },
      { ...limits, consistency: fast },
    ]);
    expect(migrations).toMatchObject({ innodb: 50, consistency: causal });

    await migrating.destroy();
    await session.close();
    await server.close();
  }, 60_000);
});

const EPOCH = new Date('2026-02-10T14:00:00.123Z');
