import { describe, expect, it } from '@jest/globals';
import { MetricsPage } from '../../src/observability/metrics-page.ts';
import { TestClock } from '../support/test-clock.ts';

describe('MetricsPage', () => {
  it('renders once for all who request it within a second, and anew after it', async () => {
    const clock = new TestClock();
    let renderings = 0;
    const metrics = { contentType: 'text/plain' as never, text: async () => `rendering ${++renderings}` };
    const page = new MetricsPage({ metrics, databaseGauges: { update: async () => undefined }, clock });
    const contents = await Promise.all(Array.from({ length: 100 }, () => page.content()));
    expect(new Set(contents).size).toBe(1); // the same bytes in memory
    expect(await page.content()).toBe(contents[0]);
    clock.advance(1_000);
    expect(String(await page.content())).toBe('rendering 2');
  });
});
