import { expect, it } from '@jest/globals';
import type { Knex } from 'knex';
import { describeOnServer } from '../support/databases.ts';
import { DAYS, useHarness } from '../support/harness.ts';
import { readMetrics } from '../support/metrics.ts';
import { rowOf } from '../support/rows.ts';

const CONNECTIONS = 20_000;
const DUE = 100;
const BATCH = 4_000;

describeOnServer('the worker with tens of thousands of connections', (createDatabase) => {
  const harness = useHarness(createDatabase, { frozen: true });

  it('reads and refreshes the rows that are due and no others, also for the gauges', async () => {
    for (let index = 0; index < DUE; index += 1) await harness.connect(`due-${index}`);
    harness.clock.advance(88 * DAYS);
    const { refresh_token } = await harness.row('due-0'); // a key that can decrypt nothing would stop the worker
    await fill(harness.knex, harness.clock.now(), refresh_token);
    harness.simulator.resetCalls();

    const before = await rowsRead(harness.knex);
    await harness.home.worker.tick();
    const metrics = readMetrics(String(await harness.home.metricsPage.content()));
    expect((await rowsRead(harness.knex)) - before).toBeLessThan(4_000);
    expect(harness.refreshes()).toBe(DUE);
    expect(metrics).toHaveProperty(['accounting_connections{state="active"}'], DUE); // counted by connect
    const [{ total } = { total: 0 }] = await harness
      .knex('oauth_tokens')
      .where('generation', '>', 0)
      .count({ total: '*' });
    expect(Number(total)).toBe(DUE);
    for (const table of ['oauth_tokens', 'connection_events']) await harness.knex(table).truncate();
  });
});

/** Rows that are not due, some of them never, with as many events. */
async function fill(knex: Knex, now: Date, refreshToken: string): Promise<void> {
  const later = new Date(now.getTime() + 60 * DAYS);
  for (let from = 0; from < BATCH; from += 1_000) {
    const rows = Array.from({ length: 1_000 }, (_, index) =>
      rowOf({
        organization_id: `other-0-${from + index}`,
        realm_id: `9${from + index}`,
        company_name: 'Other',
        refresh_token: refreshToken,
        refresh_token_expires_at: later,
        next_maintenance_at: index % 10 === 0 ? null : later,
      }),
    );
    await knex('oauth_tokens').insert(rows);
  }
  const columns =
    'accounting_system, realm_id, company_name, access_token, refresh_token, access_token_expires_at, refresh_token_expires_at, is_active, created_at, updated_at, next_maintenance_at';
  for (let copies = 1; copies < CONNECTIONS / BATCH; copies += 1) {
    await knex.raw(
      `INSERT INTO oauth_tokens (token_id, organization_id, ${columns})
       SELECT UUID(), REPLACE(organization_id, 'other-0-', 'other-${copies}-'), ${columns}
       FROM oauth_tokens WHERE organization_id LIKE 'other-0-%'`,
    );
  }
  await knex.raw(
    `INSERT INTO connection_events (event_id, organization_id, accounting_system, type, actor, occurred_at)
     SELECT token_id, organization_id, accounting_system, 'connected', 'billing', ? FROM oauth_tokens`,
    [now],
  );
  await knex.raw('ANALYZE TABLE oauth_tokens');
}

/** Rows that the server has read in this database. */
async function rowsRead(knex: Knex): Promise<number> {
  const [[{ count }]] = await knex.raw(
    `SELECT COALESCE(SUM(count_fetch), 0) AS count FROM performance_schema.table_io_waits_summary_by_table
     WHERE object_schema = DATABASE()`,
  );
  return Number(count);
}
