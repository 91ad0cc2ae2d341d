import type { RedisConnection } from '../../redis/redis-connection.ts';
import type { CompanyLimits } from '../../strategies/accounting-strategy.ts';
import type { Clock } from '../../utils/clock.ts';
import { type CallSchedule, MAX_DELAY_MS, MAX_WAIT_MS, type Turn, windowsOf } from './call-schedule.ts';
import type { LocalCallSchedule } from './local-call-schedule.ts';

/**
 * Reserves a turn by Redis' own clock, atomically. KEYS: the company's calls (when the latest were or will be sent) and its
 * pause. ARGV: the maximum wait, then maximum and milliseconds of each window. Returns the wait, or below zero the time
 * until a turn.
 */
const RESERVE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local pause = redis.call('PTTL', KEYS[2])
if pause > 0 then return -pause end
local at, kept, lifetime = now, 0, 0
for i = 2, #ARGV, 2 do
  local max, ms = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
  local call = redis.call('LINDEX', KEYS[1], -max)
  if call then at = math.max(at, call + ms) end
  kept, lifetime = math.max(kept, max), math.max(lifetime, ms)
end
local wait = at - now
if wait > tonumber(ARGV[1]) then return -wait end
if kept > 0 then
  redis.call('RPUSH', KEYS[1], at)
  redis.call('LTRIM', KEYS[1], -kept, -1)
  redis.call('PEXPIRE', KEYS[1], wait + lifetime)
end
return wait`;

/** Redis is tried again after this time, when it is used again after a failure. */
const RETRY_MS = 1_100;

interface Dependencies {
  redis: RedisConnection;
  local: LocalCallSchedule;
  clock: Clock;
}

/**
 * The turns that all replicas share through Redis. A call waits while Redis is unavailable for a moment; after that, each
 * replica gives turns of its own.
 */
export class SharedCallSchedule implements CallSchedule {
  private readonly redis: RedisConnection;
  private readonly local: LocalCallSchedule;
  private readonly clock: Clock;
  private availableAt = Number.NEGATIVE_INFINITY;

  constructor({ redis, local, clock }: Dependencies) {
    this.redis = redis;
    this.local = local;
    this.clock = clock;
  }

  async reserve(company: string, limits: CompanyLimits): Promise<Turn> {
    const pauseMs = this.pauseLeftMs(company);
    if (pauseMs > 0) return { isReserved: false, retryAfterMs: pauseMs };
    return (
      (await this.reserveShared(company, limits, MAX_WAIT_MS)) ??
      (await this.reserveLater(company, limits)) ??
      this.local.reserve(company, limits)
    );
  }

  private async reserveLater(company: string, limits: CompanyLimits): Promise<Turn | undefined> {
    if (this.clock.monotonicMs() - this.availableAt > MAX_WAIT_MS) return undefined;
    await this.clock.sleep(RETRY_MS);
    return this.reserveShared(company, limits, MAX_WAIT_MS - RETRY_MS);
  }

  /** Undefined if Redis is unavailable. */
  private async reserveShared(company: string, limits: CompanyLimits, maxWaitMs: number): Promise<Turn | undefined> {
    const windows = windowsOf(limits).flatMap(({ max, ms }) => [max, ms]);
    const values = [callsKey(company), pauseKey(company), maxWaitMs, ...windows].map(String);
    const requestedAt = this.clock.monotonicMs();
    const waitMs = await this.redis.attempt(() => this.redis.send<number>('EVAL', RESERVE, '2', ...values));
    if (waitMs === undefined) return undefined;
    const repliedAt = this.clock.monotonicMs();
    this.availableAt = repliedAt;
    if (waitMs < 0) return { isReserved: false, retryAfterMs: -waitMs };
    const from = repliedAt + waitMs;
    this.local.record(company, limits, from); // should Redis fail, this replica knows what it has sent
    if (windows.length === 0) return { isReserved: true, from, until: Number.POSITIVE_INFINITY };
    return { isReserved: true, from, until: requestedAt + waitMs + MAX_DELAY_MS }; // Redis counts from a time in between
  }

  pauseLeftMs(company: string): number {
    return this.local.pauseLeftMs(company);
  }

  pause(company: string, milliseconds: number): void {
    this.local.pause(company, milliseconds);
    void this.redis.attempt(() => this.redis.send('SET', pauseKey(company), '1', 'PX', String(milliseconds)));
  }
}

function callsKey(company: string): string {
  return `company-limit:{${company}}:calls`;
}

function pauseKey(company: string): string {
  return `company-limit:{${company}}:pause`;
}
