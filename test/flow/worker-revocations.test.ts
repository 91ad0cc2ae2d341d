import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { type IntuitSimulator, startIntuitSimulator } from '../../dev/intuit-simulator/simulator.ts';
import { loadDatabaseConfig } from '../../src/config/config.ts';
import { migrateUp } from '../../src/db/migrations.ts';
import { openKnex } from '../../src/db/session.ts';
import { describeOnServer } from '../support/databases.ts';
import { until } from '../support/gateway.ts';
import type { TestDatabase } from '../support/own-database.ts';
import { connect, disconnect, startService, status, type TestService } from '../support/service.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

const MINUTE = 60_000;
jest.spyOn(console, 'log').mockImplementation(() => undefined); // knex tells of connections that break

describeOnServer('a disconnect whose database goes away just after it', (createDatabase) => {
  let database: TestDatabase;
  let simulator: IntuitSimulator;
  let proxy: TcpProxy;
  let service: TestService;
  let now = Date.now();

  beforeAll(async () => {
    [database, simulator] = await Promise.all([createDatabase(), startIntuitSimulator()]);
    const knex = openKnex(loadDatabaseConfig({ DATABASE_URL: database.url }));
    await migrateUp(knex);
    await knex.destroy();
    proxy = await startTcpProxy(database.url);
    const env = { NODE_ENV: 'production', PROVIDER_TIMEOUT_MS: '3000' };
    service = await startService({ databaseUrl: proxy.url, simulator, env, now: () => new Date(now) });
  });
  afterAll(async () => {
    proxy.resume();
    await service.close();
    await Promise.all([proxy.close(), simulator.close()]);
    await database.drop();
  });

  it.each(['stop', 'hang'] as const)(
    '(%s) succeeds while it is away, and its grant is revoked later',
    async (leave) => {
      await connect(service, simulator, leave, { realmId: leave === 'stop' ? '1' : '2' });
      simulator.resetCalls();
      const release = simulator.hold({ on: 'revoke', kind: 'slow' });
      const answer = disconnect(service, leave);
      await until(() => simulator.callsTo('revoke').length > 0);
      proxy[leave]();
      release();
      expect((await answer).status).toBe(200);
      proxy.resume();
      await until(() => service.logs.some((line) => line.includes('grant not revoked')));
      expect(await status(service, leave)).toMatchObject({ connected: false, needs_reauthorization: false });

      now += 2 * MINUTE;
      await service.context.worker.tick();
      expect(simulator.callsTo('revoke')).toHaveLength(2); // the second is answered 400: it was revoked already
      now += 2 * MINUTE;
      await service.context.worker.tick();
      expect(simulator.callsTo('revoke')).toHaveLength(2);
      service.logs.splice(0);
    },
  );
});
