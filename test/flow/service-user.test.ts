import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { type IntuitSimulator, startIntuitSimulator } from '../../dev/intuit-simulator/simulator.ts';
import { loadConfig } from '../../src/config/config.ts';
import { migrateUp } from '../../src/db/migrations.ts';
import { openKnex } from '../../src/db/session.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { environment } from '../support/environment.ts';
import { type TestDatabase, withConnection } from '../support/own-database.ts';
import { connect, disconnect, startService, status, type TestService } from '../support/service.ts';

const SCRIPT = readFileSync(new URL('../../deploy/mysql-service-user.sh', import.meta.url), 'utf8');
const PASSWORD = 'service-password-0123456789';

describeEachDatabase('the database user of the reference deployment', (createDatabase, kind) => {
  let database: TestDatabase;
  let simulator: IntuitSimulator;
  let service: TestService;
  let url: string;

  beforeAll(async () => {
    [database, simulator] = await Promise.all([createDatabase(), startIntuitSimulator()]);
    const knex = openKnex(loadConfig(environment(database.url, simulator)).database);
    await migrateUp(knex);
    await knex.destroy();
    url = database.url;
    if (kind !== 'SQLite') {
      const { pathname } = new URL(database.url);
      const name = pathname.slice(1);
      await withConnection(database.url, async (connection) => {
        for (const statement of statementsFor(name)) await connection.query(statement);
      });
      url = Object.assign(new URL(database.url), { username: name.slice(0, 32), password: PASSWORD }).href;
    }
    service = await startService({ databaseUrl: url, simulator, env: { NODE_ENV: 'production' } });
  });
  afterAll(async () => {
    await service.close();
    if (kind !== 'SQLite')
      await withConnection(database.url, (connection) => connection.query(`DROP USER ${userOf(url)}`));
    await simulator.close();
    await database.drop();
  });

  it('can do everything that the service does', async () => {
    expect((await service.http.get('/readyz')).body).toMatchObject({ status: 'ready' });
    expect((await connect(service, simulator, 'acme')).headers['location']).toContain('connected=true');
    expect(await status(service, 'acme')).toMatchObject({ connected: true });
    await service.context.worker.tick();
    expect((await service.http.get('/metrics')).text).toContain('accounting_connections{state="active"} 1');
    expect((await disconnect(service, 'acme')).body.success).toBe(true);
    expect(service.logs.filter((line) => JSON.parse(line).level >= 40 && !line.includes('SQLite'))).toEqual([]);
  });

  if (kind !== 'SQLite') {
    it.each([
      'CREATE TABLE added (id INT)',
      'ALTER TABLE oauth_tokens ADD COLUMN added INT',
      'DROP TABLE oauth_tokens',
    ])('cannot change the tables: %s', async (statement) => {
      await expect(withConnection(url, (connection) => connection.query(statement))).rejects.toMatchObject({
        code: 'ER_TABLEACCESS_DENIED_ERROR',
      });
    });
  }
});

/** The script's statements, for a database and a user of this test's own. */
function statementsFor(name: string): string[] {
  const [, sql = ''] = /<<SQL\n([\s\S]+)SQL/.exec(SCRIPT) ?? [];
  const own = sql.replaceAll("accounting@'%'", `${name.slice(0, 32)}@'%'`).replaceAll('accounting.*', `${name}.*`);
  return own
    .replace(`\${SERVICE_PASSWORD}`, PASSWORD)
    .trim()
    .split(';\n')
    .map((text) => text.replace(/;$/, ''));
}

function userOf(url: string): string {
  return `${new URL(url).username}@'%'`;
}
