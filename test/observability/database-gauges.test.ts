import { describe, expect, it } from '@jest/globals';
import type { Statistics } from '../../src/datastores/statistics-datastore.ts';
import { DatabaseGauges } from '../../src/observability/database-gauges.ts';
import { createMetrics } from '../../src/observability/metrics.ts';
import { readMetrics } from '../support/metrics.ts';
import { TestClock } from '../support/test-clock.ts';

const NOW = new Date('2026-02-10T14:00:00.000Z');
const STATISTICS: Statistics = {
  active: 3,
  lost: 2,
  refreshFailing: 1,
  pendingRevocations: 4,
  pendingWebhooks: 5,
  earliestRefreshTokenExpiry: new Date('2026-05-21T14:00:00.000Z'),
  earliestMaintenance: new Date('2026-02-10T13:59:30.000Z'),
};

describe('the gauges of the database', () => {
  it('show its figures', async () => {
    expect(await scrape(async () => STATISTICS)).toMatchObject({
      'accounting_connections{state="active"}': 3,
      'accounting_connections{state="lost"}': 2,
      accounting_connections_refresh_failing: 1,
      accounting_pending_revocations: 4,
      accounting_pending_webhooks: 5,
      accounting_refresh_token_earliest_expiry_timestamp_seconds: Date.parse('2026-05-21T14:00:00.000Z') / 1000,
      accounting_maintenance_lag_seconds: 30,
      accounting_database_up: 1,
      'accounting_database_pool_connections{state="used"}': 1,
      'accounting_database_pool_connections{state="idle"}': 2,
      accounting_database_pool_pending: 6,
    });
  });

  it('read it once for many scrapes, and again after 5 seconds', async () => {
    const clock = new TestClock();
    let reads = 0;
    const read = async () => {
      reads += 1;
      return STATISTICS;
    };
    const gauges = new DatabaseGauges({ statistics: { read, pool }, metrics: createMetrics(), clock });
    await Promise.all(Array.from({ length: 20 }, () => gauges.update()));
    await gauges.update();
    expect(reads).toBe(1);
    clock.advance(5_000);
    await gauges.update();
    expect(reads).toBe(2);
  });

  it('show no expiry if there is no connection, and no lag if nothing is overdue', async () => {
    const earliestMaintenance = new Date(NOW.getTime() + 60_000);
    const statistics = { ...STATISTICS, earliestRefreshTokenExpiry: undefined, earliestMaintenance };
    const metrics = await scrape(async () => statistics);
    expect(metrics).not.toHaveProperty('accounting_refresh_token_earliest_expiry_timestamp_seconds');
    expect(metrics).toHaveProperty('accounting_maintenance_lag_seconds', 0);
  });

  it.each([
    ['fails', async () => Promise.reject(new Error('unreachable'))],
    ['does not respond within 2 seconds', async () => new Promise<never>(() => {})],
  ])('show that it is down, and none of its figures, if it %s', async (_, read) => {
    const metrics = await scrape(read);
    expect(metrics).toHaveProperty('accounting_database_up', 0);
    const figures = Object.keys(metrics).filter((name) => /connections\b|expiry|lag|_pending/.test(name));
    expect(figures.sort()).toEqual([
      'accounting_database_pool_connections{state="idle"}',
      'accounting_database_pool_connections{state="used"}',
      'accounting_database_pool_pending',
    ]);
  });
});

/** Returns the metrics after one update, which may take 2 seconds. */
async function scrape(read: () => Promise<Statistics>): Promise<Record<string, number>> {
  const clock = new TestClock();
  const metrics = createMetrics();
  clock.setWallClock(NOW);
  const updated = new DatabaseGauges({ statistics: { read, pool }, metrics, clock }).update();
  clock.advance(2_000);
  clock.setWallClock(NOW);
  await updated;
  return readMetrics(await metrics.text());
}

function pool() {
  return { used: 1, idle: 2, waiting: 6 };
}
