import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Context } from '../../src/context.ts';
import { createSqlite } from '../support/databases.ts';
import { call, expectOwnError } from '../support/gateway.ts';
import { SECONDS, useHarness } from '../support/harness.ts';
import { readMetrics } from '../support/metrics.ts';
import { type RedisGroup, startCluster, startSentinelGroup } from '../support/redis-groups.ts';
import { startRedis } from '../support/redis-server.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { status } from '../support/service.ts';
import { until } from '../support/until.ts';

const PER_SECOND = 5;
const LIMITS = { COMPANY_LIMIT_PER_SECOND: String(PER_SECOND), COMPANY_LIMIT_PER_MINUTE: '30' };
/** Within it, `PER_SECOND` calls are sent. A millisecond more, since waits are rounded up. */
const WINDOW = 1_201;
const MISSED = 'accounting_company_turns_missed_total';
const GAUGE = 'accounting_company_calls_waiting';

describe('calls to one company', () => {
  const harness = useHarness(createSqlite, { env: LIMITS });
  let company = '';
  let organizations = 0;
  beforeEach(async () => {
    harness.clock.stop();
    organizations += 1;
    company = await connectBefore(org());
  });

  it('are sent at once up to the limit per second, and then wait for their turn', async () => {
    const statuses = callTimes(PER_SECOND + 1);
    await until(() => sent() === PER_SECOND);
    await until(async () => (await metric(GAUGE)) === 1);
    expect(sent()).toBe(PER_SECOND);
    harness.clock.advance(WINDOW);
    expect(await statuses).toEqual(Array(PER_SECOND + 1).fill(200));
    expect(await metric(GAUGE)).toBe(0);
    expect(await metric('accounting_company_calls_deferred_total')).toBe(1);
  });

  it('return 429 with Retry-After, without being sent, if they would wait longer than 2 s', async () => {
    const waiting = callTimes(2 * PER_SECOND);
    await until(async () => (await metric(GAUGE)) === PER_SECOND);
    await until(() => sent() === PER_SECOND);
    const rejected = await call(harness.service, org());
    expect(await expectOwnError(rejected, 429, 'rate_limited')).toBe('3');
    harness.clock.advance(WINDOW);
    await waiting;
    expect(sent()).toBe(2 * PER_SECOND);
  });

  it('count together if two organizations use the company', async () => {
    await connectBefore('another', company);
    const statuses = [callTimes(PER_SECOND), callTimes(1, 'another')];
    await until(async () => (await metric(GAUGE)) === 1);
    await until(() => sent() === PER_SECOND);
    harness.clock.advance(WINDOW);
    expect((await Promise.all(statuses)).flat()).toEqual(Array(PER_SECOND + 1).fill(200));
  });

  it('do not wait for those to another company', async () => {
    await connectBefore('elsewhere');
    expect(await callTimes(PER_SECOND)).toEqual(Array(PER_SECOND).fill(200));
    expect(await callTimes(PER_SECOND, 'elsewhere')).toEqual(Array(PER_SECOND).fill(200));
  });

  it('are rejected at the limit per minute, until a call is a minute old', async () => {
    for (let second = 0; second < 6; second += 1) {
      expect(await callTimes(PER_SECOND)).toEqual(Array(PER_SECOND).fill(200));
      harness.clock.advance(WINDOW);
    }
    const rejected = await call(harness.service, org());
    expect(Number(await expectOwnError(rejected, 429, 'rate_limited'))).toBeGreaterThan(50);
    harness.clock.advance(55 * SECONDS);
    expect((await call(harness.service, org())).status).toBe(200);
  });

  it.each([
    ['its Retry-After', 7, 7],
    ['a minute, if it has none', undefined, 60],
  ])('are not sent after a 429 from QuickBooks, which is passed through, for %s', async (_, retryAfter, seconds) => {
    const fault = { on: 'api', kind: 'status', status: 429, body: 'canary' } as const;
    harness.simulator.fail(retryAfter === undefined ? fault : { ...fault, retryAfter });
    const passedThrough = await call(harness.service, org());
    expect([passedThrough.status, await passedThrough.text()]).toEqual([429, 'canary']);
    expect(await expectOwnError(await call(harness.service, org()), 429, 'rate_limited')).toBe(String(seconds));
    harness.clock.advance((seconds - 1) * SECONDS);
    await expectOwnError(await call(harness.service, org()), 429, 'rate_limited');
    expect(sent()).toBe(1);
    harness.clock.advance(1 * SECONDS);
    expect((await call(harness.service, org())).status).toBe(200);
  });

  it('that wait while QuickBooks returns 429 are not sent', async () => {
    harness.simulator.fail({ on: 'api', kind: 'status', status: 429 });
    const statuses = callTimes(PER_SECOND + 1);
    await until(() => sent() === PER_SECOND);
    await until(async () => (await metric(GAUGE)) === 1);
    harness.clock.advance(WINDOW);
    expect((await statuses).sort()).toEqual([...Array(PER_SECOND - 1).fill(200), 429, 429]);
    expect(sent()).toBe(PER_SECOND);
  });

  it('are sent at a later turn if the process was too busy for theirs, a streamed body too', async () => {
    await callTimes(PER_SECOND);
    const missed = await metric(MISSED);
    const body = Buffer.alloc(2 * 1024 * 1024, 'x');
    const waiting = call(harness.service, org(), 'echo', { method: 'POST', body });
    await until(async () => (await metric(GAUGE)) === 1);
    harness.clock.advance(WINDOW + 100);
    expect(await (await waiting).json()).toMatchObject({ bodyLength: body.length });
    expect((await metric(MISSED)) - missed).toBe(1);
    expect(sent()).toBe(PER_SECOND + 1);
  });

  it('count those of a connect, which does not wait for them', async () => {
    expect(await callTimes(PER_SECOND)).toEqual(Array(PER_SECOND).fill(200));
    const waiting = callTimes(PER_SECOND - 1);
    await until(async () => (await metric(GAUGE)) === PER_SECOND - 1);
    await harness.connect('another', company); // with the last turn of the next second
    const { company_name } = await status(harness.service, 'another');
    expect(company_name).toEqual(expect.any(String));
    const rejected = await call(harness.service, org());
    expect(await expectOwnError(rejected, 429, 'rate_limited')).toBe('3');
    harness.clock.advance(WINDOW);
    expect(await waiting).toEqual(Array(PER_SECOND - 1).fill(200));
  });

  it('are not sent after a 429 that a verification of the company got', async () => {
    await harness.set(org(), { last_verified_at: null });
    harness.simulator.fail({ on: 'companyinfo', kind: 'status', status: 429, retryAfter: 7 });
    await expectOwnError(await call(harness.service, org()), 503, 'provider_unavailable');
    await harness.set(org(), { last_verified_at: harness.clock.now() });
    expect(await expectOwnError(await call(harness.service, org()), 429, 'rate_limited')).toBe('7');
    expect(sent()).toBe(1);
  });

  it('that is abandoned by its caller while it waits is not sent', async () => {
    await callTimes(PER_SECOND);
    const leaving = new AbortController();
    const abandoned = call(harness.service, org(), 'echo', { signal: leaving.signal });
    abandoned.catch(() => undefined);
    await until(async () => (await metric(GAUGE)) === 1);
    leaving.abort();
    await until(() => harness.logs.some((line) => line.includes('"aborted":true')));
    harness.clock.advance(WINDOW);
    await until(async () => (await metric(GAUGE)) === 0);
    expect((await call(harness.service, org())).status).toBe(200);
    expect(sent()).toBe(PER_SECOND + 1);
  });

  itKeptSecrets(harness);

  function org(): string {
    return `org-${organizations}`;
  }

  /** Connects so long ago that the call which proved the company no longer counts. */
  async function connectBefore(organization: string, realmId?: string): Promise<string> {
    const connected = await harness.connect(organization, realmId);
    harness.clock.advance(61 * SECONDS);
    return connected;
  }

  async function callTimes(times: number, organization = org()): Promise<number[]> {
    const responses = await Promise.all(Array.from({ length: times }, () => call(harness.service, organization)));
    await Promise.all(responses.map((response) => response.arrayBuffer()));
    return responses.map(({ status }) => status);
  }

  function sent(): number {
    return harness.simulator.callsTo('api').length;
  }

  async function metric(name: string): Promise<number> {
    return readMetrics(await harness.home.metrics.text())[name] ?? Number.NaN;
  }
});

(process.env['HAS_REDIS'] ? describe : describe.skip).each([
  ['Redis', startServer],
  ['a Redis whose primary Sentinels choose', startSentinelGroup],
  ['a cluster of Redis', () => startCluster('company-limit:{quickbooks:1}:calls')],
])('calls to one company from two replicas with %s', (_, start) => {
  const env: Record<string, string> = { ...LIMITS };
  let redis: Pick<RedisGroup, 'url' | 'primary' | 'command' | 'close'>;
  let replicas: Context[];
  const harness = useHarness(createSqlite);
  beforeEach(async () => {
    redis = await start();
    env['REDIS_URL'] = redis.url;
    harness.clock.stop();
    replicas = [await harness.replica({ env }), await harness.replica({ env })];
    await harness.connect('org');
    await untilShared();
  });
  afterEach(() => redis.close());

  it('share the limit', async () => {
    const calls = replicas.flatMap((replica) => Array.from({ length: PER_SECOND }, () => harness.use('org', replica)));
    await until(() => harness.simulator.callsTo('api').length === PER_SECOND);
    harness.clock.advance(WINDOW);
    expect(await Promise.all(calls)).toEqual(Array(2 * PER_SECOND).fill(200));
    const ttl = await redis.command('PTTL company-limit:{quickbooks:1}:calls');
    expect(ttl).not.toMatch(/^:-1/m); // it expires
  });

  it('share the pause after a 429 from QuickBooks', async () => {
    harness.simulator.fail({ on: 'api', kind: 'status', status: 429, retryAfter: 30 });
    expect(await harness.use('org', replicas[0])).toBe(429);
    await until(async () => (await redis.command('KEYS *:pause')).includes('pause'));
    for (const replica of replicas) {
      await expect(harness.use('org', replica)).rejects.toMatchObject({ code: 'rate_limited' });
    }
    expect(harness.simulator.callsTo('api')).toHaveLength(1);
  });

  it('are limited by each replica, which knows what it has sent, while Redis is down', async () => {
    expect(await harness.use('org', replicas[0])).toBe(200);
    harness.clock.advance(2_001);
    await redis.primary.kill();
    for (const replica of replicas) {
      const calls = Array.from({ length: PER_SECOND }, () => harness.use('org', replica));
      expect(await Promise.all(calls)).toEqual(Array(PER_SECOND).fill(200));
    }
  });

  /** Resolves once both replicas use Redis, which then has counted nothing. */
  async function untilShared(): Promise<void> {
    for (const replica of replicas) {
      await redis.command('FLUSHDB');
      await until(async () => {
        await harness.use('org', replica).catch(() => undefined);
        harness.clock.advance(61 * SECONDS);
        return (await redis.command('KEYS company-limit:*')).includes('calls');
      });
    }
    await redis.command('FLUSHDB');
    harness.simulator.resetCalls();
  }
});

async function startServer() {
  const redis = await startRedis();
  return { ...redis, primary: redis };
}
