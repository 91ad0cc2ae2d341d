import { afterEach, describe, expect, it } from '@jest/globals';
import supertest from 'supertest';
import { assess } from '../../src/db/server-settings.ts';
import { useHarness } from '../support/harness.ts';
import { scrape } from '../support/metrics.ts';
import { createOnServer, type TestDatabase } from '../support/own-database.ts';
import { describeOwnServers, type OwnServer } from '../support/own-server.ts';
import { runToEnd } from '../support/processes.ts';
import { connect, disconnect, type StartOptions, startService, status, type TestService } from '../support/service.ts';

const OK = { database: 'ok', migrations: 'ok', encryption_key: 'ok' };
/** Ends a literal early by one rule of escaping or another, and makes the rest of the statement true. */
const HOSTILE_NAME = `O'Brien \\' OR 1=1 -- " \\\\' é 🏢 ${'\\'.repeat(100)}`;

/** Settings that the service's connections do not adopt. */
const SETTINGS: [name: string, value: string, only?: string][] = [
  ['sql_mode', "'NO_BACKSLASH_ESCAPES'"],
  ['sql_mode', "'ANSI,NO_BACKSLASH_ESCAPES'"],
  ['sql_mode', "'ANSI_QUOTES'"],
  ['sql_mode', "''"],
  ['sql_mode', "'ORACLE'", 'MariaDB'],
  ['sql_mode', "'EMPTY_STRING_IS_NULL'", 'MariaDB'],
  ['autocommit', '0'],
  ['completion_type', "'CHAIN'"],
  ['completion_type', "'RELEASE'"],
  ['time_zone', "'+05:30'"],
  ['collation_connection', "'latin1_swedish_ci'"],
  ['transaction_isolation', "'SERIALIZABLE'", 'MySQL'],
  ['transaction_read_only', '1', 'MySQL'],
  ['tx_isolation', "'SERIALIZABLE'", 'MariaDB'],
  ['tx_read_only', '1', 'MariaDB'],
  ['default_storage_engine', "'MyISAM'"],
  ['init_connect', `'SET sql_mode = "ANSI_QUOTES", autocommit = 0'`],
];

const INITIAL: Record<string, string> = { binlog_format: "'ROW'", init_connect: "''" };

const SUITABLE = {
  version: '8.4.3',
  binlog_format: 'ROW',
  log_bin: 'ON',
  max_allowed_packet: '67108864',
  sql_mode: 'STRICT_TRANS_TABLES,STRICT_ALL_TABLES,NO_ZERO_IN_DATE,TRADITIONAL',
  autocommit: 'ON',
  completion_type: 'NO_CHAIN',
  time_zone: '+00:00',
  collation_connection: 'utf8mb4_general_ci',
  default_storage_engine: 'InnoDB',
};

describe('the settings of a server', () => {
  it.each([
    { version: '8.0.mysql_aurora.3.08.0' },
    { version: '10.6.0-MariaDB' },
    { version: '11.4.2-MariaDB-log' },
    { binlog_format: 'STATEMENT', log_bin: 'OFF' },
    { binlog_format: 'MIXED' },
  ])('are suitable with %j', (settings) => {
    expect(assess({ ...SUITABLE, ...settings }).unsuitable).toEqual([]);
  });

  // Of the settings that connections set, those that a proxy in between did not pass on.
  it.each([
    { version: '5.7.44' },
    { version: '10.5.9-MariaDB' },
    { binlog_format: 'STATEMENT' },
    { max_allowed_packet: '16384' },
    { sql_mode: '' },
    { sql_mode: `${SUITABLE.sql_mode},NO_BACKSLASH_ESCAPES` },
    { sql_mode: `${SUITABLE.sql_mode},ANSI_QUOTES` },
    { sql_mode: `${SUITABLE.sql_mode},EMPTY_STRING_IS_NULL` },
    { autocommit: 'OFF' },
    { completion_type: 'CHAIN' },
    { time_zone: 'SYSTEM' },
    { collation_connection: 'latin1_swedish_ci' },
    { default_storage_engine: 'MyISAM' },
  ])('are unsuitable with %j', (settings) => {
    const [[name, value] = []] = Object.entries(settings);
    expect(assess({ ...SUITABLE, ...settings }).unsuitable).toEqual([`${name}=${value}`]);
  });
});

describeOwnServers('a server', (start, kind) => {
  let server: OwnServer;
  let service: TestService | undefined;

  const harness = useHarness(async (): Promise<TestDatabase> => {
    server = await start(['--log-bin=binlog', '--server-id=1', '--binlog-format=ROW']);
    const { url } = await createOnServer(server.url);
    await server.run("CREATE USER service@'%' IDENTIFIED BY 'secret'", "GRANT ALL ON `test\\_%`.* TO service@'%'");
    const { href } = Object.assign(new URL(url), { username: 'service', password: 'secret' });
    return { url: href, drop: () => server.close() };
  });
  afterEach(async () => {
    await service?.close();
    service = undefined;
  });

  it.each(SETTINGS.filter(([, , only = kind]) => only === kind))(
    'can have %s = %s: connections do not adopt it, whatever a company is called',
    async (name, value) => {
      const { simulator } = harness;
      const realmId = '9341452000000777';
      simulator.setCompany(realmId, HOSTILE_NAME);
      await withSetting(name, value, async () => {
        service = await open();
        await supertest(service.origin).get('/readyz').expect(200, { status: 'ready', checks: OK });
        for (let attempt = 0; attempt < 2; attempt += 1) {
          const { headers } = await connect(service, simulator, 'hostile', { realmId });
          expect(headers['location']).toContain('connected=true');
        }
        await connect(service, simulator, 'other');
        expect(await status(service, 'hostile')).toMatchObject({ connected: true, company_name: HOSTILE_NAME });
        expect(await status(service, 'other')).toMatchObject({
          connected: true,
          realm_id: expect.not.stringContaining('777'),
        });
        for (const organization of ['hostile', 'other']) {
          expect((await disconnect(service, organization)).status).toBe(200);
          expect(await status(service, organization)).toMatchObject({ connected: false, reason: null });
        }
      });
    },
  );

  it('is unsuitable if it replicates statements, which the service’s isolation level does not permit', async () => {
    await withSetting('binlog_format', "'STATEMENT'", async () => {
      service = await open();
      const checks = { ...OK, database: 'unsuitable' };
      await supertest(service.origin).get('/readyz').expect(503, { status: 'unavailable', checks });
      const lines = service.logs.map((line) => JSON.parse(line));
      expect(lines.filter(({ msg }) => msg === 'readiness.changed')).toMatchObject([
        { level: 50, reason: 'binlog_format=STATEMENT' },
      ]);
      expect(await scrape(service)).toMatchObject({ accounting_database_up: 1, accounting_ready: 0 });
    });
  });

  it('is reported as read-only while it is, and used again at once', async () => {
    service = await open();
    await connect(service, harness.simulator, 'switched');
    await supertest(service.origin).get('/readyz').expect(200);
    await withSetting('read_only', '1', async () => {
      await expectDatabase('read_only');
      expect(await scrape(service as TestService)).toMatchObject({ accounting_database_up: 1, accounting_ready: 0 });
      const response = await disconnect(service as TestService, 'switched');
      expect([response.status, response.body.code]).toEqual([503, 'service_unavailable']);
      expect(await status(service as TestService, 'switched')).toMatchObject({ connected: true });
    });
    expect((await disconnect(service, 'switched')).status).toBe(200);
    await supertest(service.origin).get('/readyz').expect(200, { status: 'ready', checks: OK });
  });

  if (kind === 'MariaDB') {
    it('is reported as denied if the user authenticates by a plugin that the driver does not have', async () => {
      await server.run(
        "INSTALL SONAME 'auth_ed25519'",
        "CREATE USER ed25519@'%' IDENTIFIED VIA ed25519 USING PASSWORD('canary')",
      );
      const user = { username: 'ed25519', password: 'canary' };
      const { href: databaseUrl } = Object.assign(new URL(harness.database.url), user);
      service = await open({ databaseUrl });
      const { body } = await supertest(service.origin).get('/readyz').expect(503);
      expect(body.checks.database).toBe('denied');
      const ended = await runToEnd('bin/run.js', ['migrate', 'latest'], { DATABASE_URL: databaseUrl });
      expect(ended).toEqual({ code: 1, stdout: '', stderr: expect.stringMatching(/^.*ed25519: use .*\n$/) });
    });
  }

  it('is reported as denied if it rejects the password', async () => {
    const { href: databaseUrl } = Object.assign(new URL(harness.database.url), { password: 'canary' });
    service = await open({ databaseUrl });
    const checks = { database: 'denied', migrations: 'unreachable', encryption_key: 'unreachable' };
    const response = await supertest(service.origin).get('/readyz').expect(503, { status: 'unavailable', checks });
    expect(JSON.stringify(response.body) + service.logs.join()).not.toContain('canary');
  });

  async function open(options: Partial<StartOptions> = {}): Promise<TestService> {
    const { database, simulator, clock } = harness;
    // In production the service does not migrate when it starts, so that it starts with any server.
    return startService({ databaseUrl: database.url, simulator, clock, env: { NODE_ENV: 'production' }, ...options });
  }

  async function expectDatabase(database: string): Promise<void> {
    const { status: code, body } = await supertest(service?.origin ?? '').get('/readyz');
    expect([code, body]).toEqual([503, { status: 'unavailable', checks: { ...OK, database } }]);
  }

  async function withSetting(name: string, value: string, work: () => Promise<void>): Promise<void> {
    await server.run(`SET GLOBAL ${name} = ${value}`);
    try {
      await work();
    } finally {
      await server.run(`SET GLOBAL ${name} = ${INITIAL[name] ?? 'DEFAULT'}`);
    }
  }
});
