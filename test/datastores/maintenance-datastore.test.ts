import { expect, it } from '@jest/globals';
import type { Knex } from 'knex';
import { describeOnServer } from '../support/databases.ts';
import { readMetrics } from '../support/metrics.ts';
import { rowOf } from '../support/rows.ts';
import { DAYS, useWorkerBench } from '../support/worker-bench.ts';

const CONNECTIONS = 20_000;
const DUE = 100;
const BATCH = 4_000;

describeOnServer('a tick over tens of thousands of connections', (createDatabase) => {
  const bench = useWorkerBench(createDatabase);

  it('reads and renews what is due, and no other row, gauges included', async () => {
    for (let index = 0; index < DUE; index += 1) await bench.connect(`due-${index}`);
    bench.advance(88 * DAYS);
    await fill(bench.knex, bench.now);
    bench.simulator.resetCalls();

    const before = await rowsRead(bench.knex);
    await bench.home.worker.tick();
    await bench.home.overview.update();
    expect((await rowsRead(bench.knex)) - before).toBeLessThan(4_000);
    expect(bench.refreshes()).toBe(DUE);
    const metrics = readMetrics(await bench.home.metrics.text());
    expect(metrics).toHaveProperty(['accounting_connections{state="active"}'], DUE); // those that came by way of connect
    const [{ total } = { total: 0 }] = await bench
      .knex('oauth_tokens')
      .where('generation', '>', 0)
      .count({ total: '*' });
    expect(Number(total)).toBe(DUE);
    for (const table of ['oauth_tokens', 'connection_events']) await bench.knex(table).truncate();
  });
});

/** Rows that are not due, some of them for nothing at all, with as many events and states of theirs. */
async function fill(knex: Knex, now: Date): Promise<void> {
  const later = new Date(now.getTime() + 60 * DAYS);
  for (let from = 0; from < BATCH; from += 1_000) {
    const rows = Array.from({ length: 1_000 }, (_, index) =>
      rowOf({
        organization_id: `other-0-${from + index}`,
        realm_id: `9${from + index}`,
        company_name: 'Other',
        refresh_token_expires_at: later,
        next_care_at: index % 10 === 0 ? null : later,
      }),
    );
    await knex('oauth_tokens').insert(rows);
  }
  const columns =
    'accounting_system, realm_id, company_name, access_token, refresh_token, access_token_expires_at, refresh_token_expires_at, is_active, created_at, updated_at, next_care_at';
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

/** Rows that the server read for anyone: no other test may run beside this one on its database. */
async function rowsRead(knex: Knex): Promise<number> {
  const [[{ count }]] = await knex.raw(
    `SELECT COALESCE(SUM(count_fetch), 0) AS count FROM performance_schema.table_io_waits_summary_by_table
     WHERE object_schema = DATABASE()`,
  );
  return Number(count);
}
