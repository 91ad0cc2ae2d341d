import { describe, expect, it } from '@jest/globals';
import { MetricsPage } from '../../src/observability/metrics-page.ts';
import { TestClock } from '../support/test-clock.ts';

const OK = { database: 'ok', migrations: 'ok', encryption_key: 'ok' } as const;

describe('MetricsPage', () => {
  it('renders once for all who request it within a second, and anew after it', async () => {
    const clock = new TestClock();
    let renderings = 0;
    const metrics = { contentType: 'text/plain' as never, text: async () => `rendering ${++renderings}` };
    const databaseGauges = { update: async () => undefined };
    const health = { readiness: async () => ({ status: 'ready' as const, checks: OK }) };
    const page = new MetricsPage({ metrics, databaseGauges, health, clock });
    const contents = await Promise.all(Array.from({ length: 100 }, () => page.content()));
    expect(new Set(contents).size).toBe(1); // the same bytes in memory
    expect(await page.content()).toBe(contents[0]);
    clock.advance(1_000);
    expect(String(await page.content())).toBe('rendering 2');
  });
});
