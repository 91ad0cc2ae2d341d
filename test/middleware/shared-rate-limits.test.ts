import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Options, Store } from 'express-rate-limit';
import { pino } from 'pino';
import { SharedCounts } from '../../src/middleware/shared-rate-limits.ts';
import { until } from '../support/gateway.ts';
import { closedPort } from '../support/tcp-proxy.ts';

describe('the warning that Redis is away', () => {
  const lines: string[] = [];
  let counts: SharedCounts;
  let store: Store;
  let passed = 0; // milliseconds that the clock is ahead

  beforeEach(async () => {
    const monotonic = performance.now.bind(performance);
    jest.spyOn(performance, 'now').mockImplementation(() => monotonic() + passed);
    const url = `redis://user:canary-password@127.0.0.1:${await closedPort()}`;
    counts = new SharedCounts(url, pino({ level: 'trace' }, { write: (line) => lines.push(line) }));
    store = counts.createStore('browser');
    void store.init?.({ windowMs: 60_000 } as Options);
  });
  afterEach(() => {
    counts.close();
    jest.restoreAllMocks();
  });

  it('comes once a minute however often Redis is tried, and tells why', async () => {
    await until(() => lines.length > 0);
    for (let minute = 1; minute <= 3; minute += 1) {
      await new Promise((resolve) => counts['client'].once('error', resolve));
      expect(lines).toHaveLength(minute);
      passed += 61_000;
    }
    expect(lines.map((line) => JSON.parse(line))).toMatchObject(
      Array.from({ length: 3 }, () => ({ level: 40, reason: 'ECONNREFUSED' })),
    );
    expect(lines.join()).not.toContain('canary');
  });

  it('does not keep a store from counting', async () => {
    expect((await store.increment('a')).totalHits).toBe(1);
    expect((await store.increment('a')).totalHits).toBe(2);
    expect((await store.increment('b')).totalHits).toBe(1);
  });
});
