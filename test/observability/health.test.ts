import { describe, expect, it } from '@jest/globals';
import type { MigrationDatastore } from '../../src/datastores/migration-datastore.ts';
import { Health } from '../../src/observability/health.ts';

describe('readiness', () => {
  it('is ready where the database answers and nothing is pending', async () => {
    expect(await health(async () => false).readiness()).toEqual({
      status: 'ready',
      checks: { database: 'ok', migrations: 'ok' },
    });
  });

  it('is unavailable where migrations are pending', async () => {
    expect(await health(async () => true).readiness()).toEqual({
      status: 'unavailable',
      checks: { database: 'ok', migrations: 'pending' },
    });
  });

  it('is unavailable where the database fails', async () => {
    const failing = health(async () => {
      throw new Error('away');
    });
    expect(await failing.readiness()).toMatchObject({ status: 'unavailable', checks: { database: 'unreachable' } });
  });

  it('is stopping once a signal came, whatever the checks say', async () => {
    for (const pending of [true, false]) {
      const stopping = health(async () => pending);
      stopping.stop();
      expect(await stopping.readiness()).toMatchObject({ status: 'stopping', checks: { database: 'ok' } });
    }
  });
});

function health(hasPending: () => Promise<boolean>): Health {
  return new Health({ hasPending } as MigrationDatastore);
}
