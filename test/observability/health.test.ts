import { describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import type { HealthDatastore } from '../../src/datastores/health-datastore.ts';
import type { Ciphertext } from '../../src/models/connection.ts';
import { EncryptionKeyCheck } from '../../src/observability/encryption-key-check.ts';
import { Health } from '../../src/observability/health.ts';
import { createMetrics } from '../../src/observability/metrics.ts';
import { TestClock } from '../support/test-clock.ts';

const SECONDS = 1_000;
const OK = { database: 'ok', migrations: 'ok', encryption_key: 'ok' };
const UNKNOWN = { migrations: 'unreachable', encryption_key: 'unreachable' };

describe('readiness', () => {
  it('is ready if everything works', async () => {
    const { health, lines } = open();
    expect(await health.readiness()).toEqual({ status: 'ready', checks: OK });
    expect(lines).toEqual([]);
  });

  it('is unavailable if migrations are pending, and then neither writes nor decrypts', async () => {
    const fails = async () => Promise.reject(new Error('no such table'));
    const { health } = open({ hasPendingMigrations: async () => true, write: fails, sampleTokens: fails });
    expect(await health.readiness()).toEqual({ status: 'unavailable', checks: { ...OK, migrations: 'pending' } });
  });

  it.each(['unreachable', 'denied', 'read_only', 'full'] as const)('reports a database that is %s', async (failure) => {
    const { health, lines } = open({
      readSettings: async () => Promise.reject(new Error('canary')),
      failureOf: () => ({ failure, code: 'ER_CODE' }),
    });
    expect(await health.readiness()).toEqual({ status: 'unavailable', checks: { database: failure, ...UNKNOWN } });
    expect(lines).toMatchObject([{ msg: 'readiness.changed', database: failure, reason: 'ER_CODE' }]);
  });

  it('is unavailable if the database does not respond within 2 seconds', async () => {
    const { health, clock } = open({ readSettings: () => new Promise(() => {}) });
    const readiness = health.readiness();
    clock.advance(2 * SECONDS);
    expect(await readiness).toEqual({ status: 'unavailable', checks: { database: 'unreachable', ...UNKNOWN } });
  });

  it('names the settings that would break the service, in an error line', async () => {
    const { health, lines } = open({
      readSettings: async () => ({ accessMode: '', unsuitable: ['binlog_format=STATEMENT'] }),
    });
    expect((await health.readiness()).checks).toEqual({ ...OK, database: 'unsuitable' });
    expect(lines).toMatchObject([{ level: 50, database: 'unsuitable', reason: 'binlog_format=STATEMENT' }]);
  });

  it('notices a database that accepts no writes, and logs when it does again', async () => {
    let isFull = true;
    const { health, lines, metrics } = open({
      write: async () => (isFull ? Promise.reject(new Error()) : undefined),
      failureOf: () => ({ failure: 'full', code: 'ER_DISK_FULL' }),
    });
    expect((await health.readiness()).checks).toEqual({ ...OK, database: 'full' });
    await health.readiness();
    expect(await metrics.text()).toContain('accounting_ready 0');
    isFull = false;
    expect((await health.readiness()).checks).toEqual(OK);
    expect(await metrics.text()).toContain('accounting_ready 1');
    expect(lines).toMatchObject([
      { level: 50, database: 'full' },
      { level: 30, database: 'ok' },
    ]);
  });

  it('reports a database whose writes do not end as read-only, and starts no second write', async () => {
    let writes = 0;
    const write = () => {
      writes += 1;
      return new Promise<void>(() => {});
    };
    const { health, clock } = open({ write });
    for (let check = 0; check < 2; check += 1) {
      const readiness = health.readiness();
      await clock.nextTurn();
      await clock.nextTurn();
      clock.advance(2 * SECONDS);
      expect((await readiness).checks).toEqual({ ...OK, database: 'read_only' });
    }
    expect(writes).toBe(1);
  });

  it('writes once in 30 seconds while all is well, and again if the access mode of the server changes', async () => {
    let [writes, accessMode] = [0, 'OFF'];
    const { health, clock } = open({
      readSettings: async () => ({ accessMode, unsuitable: [] }),
      write: async () => {
        writes += 1;
      },
    });
    for (let check = 0; check < 3; check += 1) await health.readiness();
    expect(writes).toBe(1);
    accessMode = 'ON';
    await health.readiness();
    expect(writes).toBe(2);
    clock.advance(30 * SECONDS);
    await health.readiness();
    expect(writes).toBe(3);
  });

  it.each([
    ['no token is stored', [[], []], 'ok'],
    ['all tokens can be decrypted', [['good'], ['good']], 'ok'],
    ['one of several tokens is damaged', [['bad', 'good'], ['good']], 'ok'],
    ['no token can be decrypted', [['bad'], ['bad']], 'wrong'],
    ['only new tokens can be decrypted', [['bad', 'bad'], ['good']], 'wrong'],
  ])('reports whether the encryption key is the right one: %s', async (_, tokens, expected) => {
    const { health, lines, metrics } = open({ sampleTokens: async () => tokens as Ciphertext[][] });
    const { status, checks } = await health.readiness();
    expect([status, checks]).toEqual([
      expected === 'ok' ? 'ready' : 'unavailable',
      { ...OK, encryption_key: expected },
    ]);
    expect(await metrics.text()).toContain(`accounting_encryption_key_valid ${expected === 'ok' ? 1 : 0}`);
    expect(lines).toMatchObject(expected === 'ok' ? [] : [{ level: 50, encryption_key: 'wrong' }]);
  });

  it('is stopping after a shutdown signal, whatever the checks return', async () => {
    for (const isPending of [true, false]) {
      const { health } = open({ hasPendingMigrations: async () => isPending });
      health.stop();
      expect(await health.readiness()).toMatchObject({ status: 'stopping', checks: { database: 'ok' } });
    }
  });

  function open(replaced: Partial<Pick<HealthDatastore, keyof HealthDatastore>> = {}) {
    const lines: unknown[] = [];
    const logger = pino({ level: 'trace' }, { write: (line) => lines.push(JSON.parse(line)) });
    const clock = new TestClock();
    const metrics = createMetrics();
    const database = {
      readSettings: async () => ({ accessMode: '', unsuitable: [] }),
      hasPendingMigrations: async () => false,
      write: async () => undefined,
      sampleTokens: async () => [],
      failureOf: () => ({ failure: 'unreachable' as const, code: undefined }),
      ...replaced,
    };
    const cipher = {
      decrypt: (token: string) => {
        if (token !== 'good') throw new Error('canary');
      },
      isCurrent: (token: string) => token === 'good',
    };
    const encryptionKey = new EncryptionKeyCheck({ database, cipher, metrics, clock });
    return { health: new Health({ database, encryptionKey, clock, logger, metrics }), clock, lines, metrics };
  }
});
