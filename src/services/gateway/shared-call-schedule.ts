import type { RedisConnection } from '../../redis/redis-connection.ts';
import type { CompanyLimits } from '../../strategies/accounting-strategy.ts';
import { type CallSchedule, MAX_WAIT_MS, type Turn, windowsOf } from './call-schedule.ts';
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

/** The turns that all replicas share through Redis. While Redis is unavailable, each replica gives its own. */
export class SharedCallSchedule implements CallSchedule {
  private readonly redis: RedisConnection;
  private readonly local: LocalCallSchedule;

  constructor(redis: RedisConnection, local: LocalCallSchedule) {
    this.redis = redis;
    this.local = local;
  }

  async reserve(company: string, limits: CompanyLimits): Promise<Turn> {
    const pauseMs = this.local.pauseLeftMs(company);
    if (pauseMs > 0) return { isReserved: false, retryAfterMs: pauseMs };
    const windows = windowsOf(limits).flatMap(({ max, ms }) => [max, ms]);
    const values = [callsKey(company), pauseKey(company), MAX_WAIT_MS, ...windows].map(String);
    const waitMs = await this.redis.attempt(() => this.redis.send<number>('EVAL', RESERVE, '2', ...values));
    if (waitMs === undefined) return this.local.reserve(company, limits);
    return waitMs < 0 ? { isReserved: false, retryAfterMs: -waitMs } : { isReserved: true, waitMs };
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
