import { afterEach, describe, expect, it } from '@jest/globals';
import supertest from 'supertest';
import { createSqlite, describeEachDatabase } from '../support/databases.ts';
import { NEW_KEY, OLD_KEY, UNKNOWN_KEY } from '../support/encrypted-rows.ts';
import { DAYS, SECONDS, useHarness } from '../support/harness.ts';
import { scrape } from '../support/metrics.ts';
import { connect, startService, type TestService } from '../support/service.ts';

const OK = { database: 'ok', migrations: 'ok', encryption_key: 'ok' };

describeEachDatabase('readiness', (createDatabase) => {
  const harness = useHarness(createDatabase, { env: { ENCRYPTION_KEY: OLD_KEY }, isolated: true });
  let service: TestService | undefined;
  afterEach(() => service?.close());

  it('is unavailable with an encryption key that cannot decrypt the stored tokens', async () => {
    await connect(harness.service, harness.simulator, 'acme');
    await expectReadiness(UNKNOWN_KEY, 'wrong');
    const lines = service?.logs.map((line) => JSON.parse(line)) ?? [];
    expect(lines.filter(({ level }) => level >= 50)).toMatchObject([
      { msg: 'readiness.changed', encryption_key: 'wrong' },
    ]);
  });

  it.each([
    ['the same key', OLD_KEY],
    ['a new key before the old one', `${NEW_KEY},${OLD_KEY}`],
  ])('is ready with %s', async (_, key) => {
    await connect(harness.service, harness.simulator, 'acme');
    await expectReadiness(key, 'ok');
  });

  it('is no reason to defer or lose anything: the worker does nothing with a wrong key', async () => {
    await connect(harness.service, harness.simulator, 'acme');
    harness.clock.advance(90 * DAYS);
    const { database, simulator, clock } = harness;
    service = await startService({ databaseUrl: database.url, simulator, clock, env: { ENCRYPTION_KEY: UNKNOWN_KEY } });
    const before = await harness.row('acme');
    await service.context.worker.tick();
    expect(await harness.row('acme')).toEqual(before);
    expect(harness.refreshes()).toBe(0);
    expect(service.logs.join()).toContain('ENCRYPTION_KEY cannot decrypt the stored tokens');
    await harness.home.worker.tick();
    expect(harness.refreshes()).toBe(1);
  });

  it('is ready with any key if no token is stored, and leaves no row', async () => {
    await expectReadiness(UNKNOWN_KEY, 'ok');
    expect(await harness.knex('oauth_states')).toEqual([]);
  });

  async function expectReadiness(ENCRYPTION_KEY: string, encryption_key: 'ok' | 'wrong'): Promise<void> {
    const { simulator, clock, database } = harness;
    service = await startService({ databaseUrl: database.url, simulator, clock, env: { ENCRYPTION_KEY } });
    const { status, body } = await supertest(service.origin).get('/readyz');
    const isOk = encryption_key === 'ok';
    const checks = { ...OK, encryption_key };
    expect([status, body]).toEqual([isOk ? 200 : 503, { status: isOk ? 'ready' : 'unavailable', checks }]);
    expect(await scrape(service)).toMatchObject({
      accounting_encryption_key_valid: isOk ? 1 : 0,
      accounting_ready: isOk ? 1 : 0,
    });
  }
});

describe('the gauge of readiness', () => {
  const harness = useHarness(createSqlite);
  let service: TestService;
  afterEach(async () => {
    await service.close();
    await harness.knex.raw("UPDATE knex_migrations SET name = RTRIM(name, '?')");
  });

  it.each([
    ['can be used', 'SELECT 1', 1],
    ['accepts no writes', 'PRAGMA query_only = ON', 0],
    ['lacks a migration', "UPDATE knex_migrations SET name = name || '?'", 0],
  ])('shows whether a database that can be read %s, although nothing requests /readyz', async (_, sql, expected) => {
    service = await open();
    await service.context.session.query((db) => db.raw(sql));
    expect(await scrape(service)).toMatchObject({ accounting_database_up: 1, accounting_ready: expected });
    const { status } = await fetch(`${service.origin}/readyz`);
    expect(status).toBe(expected === 1 ? 200 : 503);
  });

  it('is absent while the process is stopping', async () => {
    service = await open();
    expect(await scrape(service)).toHaveProperty('accounting_ready', 1);
    service.context.health.stop();
    harness.clock.advance(1 * SECONDS); // until then the earlier text is served
    const metrics = await scrape(service);
    expect(metrics).not.toHaveProperty('accounting_ready');
    expect(metrics).toHaveProperty('accounting_database_up', 1);
  });

  async function open(): Promise<TestService> {
    const { database, simulator, clock } = harness;
    return startService({ databaseUrl: database.url, simulator, clock, env: { NODE_ENV: 'production' } });
  }
});
