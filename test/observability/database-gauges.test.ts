import { expect, it } from '@jest/globals';
import type { Overview, OverviewDatastore } from '../../src/datastores/statistics-datastore.ts';
import { OverviewGauges } from '../../src/observability/database-gauges.ts';
import { createMetrics } from '../../src/observability/metrics.ts';
import { readMetrics } from '../support/metrics.ts';

const NOW = new Date('2026-02-10T14:00:00.000Z');
const OVERVIEW: Overview = {
  active: 3,
  lost: 2,
  refreshFailing: 1,
  revocationsWaiting: 4,
  webhooksWaiting: 5,
  soonestExpiry: new Date('2026-05-21T14:00:00.000Z'),
  mostOverdue: new Date('2026-02-10T13:59:30.000Z'),
};

it('shows the figures of the database, and asks it once however many ask here', async () => {
  let readings = 0;
  const metrics = await gauges(async () => {
    readings += 1;
    return OVERVIEW;
  }, 20);
  expect(readings).toBe(1);
  expect(metrics).toMatchObject({
    'accounting_connections{state="active"}': 3,
    'accounting_connections{state="lost"}': 2,
    accounting_connections_refresh_failing: 1,
    accounting_revocations_waiting: 4,
    accounting_webhooks_waiting: 5,
    accounting_refresh_token_soonest_expiry_timestamp_seconds: Date.parse('2026-05-21T14:00:00.000Z') / 1000,
    accounting_care_overdue_seconds: 30,
    accounting_database_up: 1,
    'accounting_database_pool_connections{state="used"}': 1,
    'accounting_database_pool_connections{state="idle"}': 2,
    accounting_database_pool_waiting: 6,
  });
});

it('shows no date where there is none, and nothing overdue where all is in time', async () => {
  const mostOverdue = new Date(NOW.getTime() + 60_000);
  const metrics = await gauges(async () => ({ ...OVERVIEW, soonestExpiry: undefined, mostOverdue }));
  expect(metrics).not.toHaveProperty('accounting_refresh_token_soonest_expiry_timestamp_seconds');
  expect(metrics).toHaveProperty('accounting_care_overdue_seconds', 0);
});

it.each([
  ['fails', async () => Promise.reject(new Error('away'))],
  ['hangs', async () => new Promise<never>(() => {})],
])('shows that the database %s, within seconds, and no figure of it', async (_, read) => {
  const metrics = await gauges(read);
  expect(metrics).toHaveProperty('accounting_database_up', 0);
  expect(
    Object.keys(metrics)
      .filter((name) => /connections\b|expiry|overdue|_waiting/.test(name))
      .sort(),
  ).toEqual([
    'accounting_database_pool_connections{state="idle"}',
    'accounting_database_pool_connections{state="used"}',
    'accounting_database_pool_waiting',
  ]);
});

/** The metrics after this many scrapes at once. */
async function gauges(read: () => Promise<Overview>, scrapes = 1): Promise<Record<string, number>> {
  const metrics = createMetrics();
  const datastore = { read, pool: () => ({ used: 1, idle: 2, waiting: 6 }) } as Partial<OverviewDatastore>;
  const overview = new OverviewGauges(datastore as OverviewDatastore, metrics, () => NOW);
  await Promise.all(Array.from({ length: scrapes }, () => overview.update()));
  await overview.update();
  return readMetrics(await metrics.text());
}
