import { describe, expect, it } from '@jest/globals';
import { Health } from '../../src/observability/health.ts';
import { TestClock } from '../support/test-clock.ts';

describe('readiness', () => {
  const clock = new TestClock();
  const health = (hasPending: () => Promise<boolean>) => new Health({ hasPending }, clock);

  it('is ready if the database responds and no migration is pending', async () => {
    expect(await health(async () => false).readiness()).toEqual({
      status: 'ready',
      checks: { database: 'ok', migrations: 'ok' },
    });
  });

  it('is unavailable if migrations are pending', async () => {
    expect(await health(async () => true).readiness()).toEqual({
      status: 'unavailable',
      checks: { database: 'ok', migrations: 'pending' },
    });
  });

  it('is unavailable if the database fails', async () => {
    const readiness = await health(async () => Promise.reject(new Error('unreachable'))).readiness();
    expect(readiness).toMatchObject({ status: 'unavailable', checks: { database: 'unreachable' } });
  });

  it('is unavailable if the database does not respond within 2 seconds', async () => {
    const readiness = health(() => new Promise(() => {})).readiness();
    clock.advance(2_000);
    expect(await readiness).toMatchObject({ status: 'unavailable', checks: { database: 'unreachable' } });
  });

  it('is stopping after a shutdown signal, whatever the checks return', async () => {
    for (const pending of [true, false]) {
      const stopping = health(async () => pending);
      stopping.stop();
      expect(await stopping.readiness()).toMatchObject({ status: 'stopping', checks: { database: 'ok' } });
    }
  });
});
