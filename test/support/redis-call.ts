import { pino } from 'pino';
import { parseRedisUrl } from '../../src/config/redis-url.ts';
import { RedisConnection } from '../../src/redis/redis-connection.ts';
import { systemClock } from '../../src/utils/clock.ts';
import { until } from './until.ts';

// A process that increments a key, and prints the reply, or why Redis cannot be used. Argument: the URL.
// A slow machine's timeouts are no reason: it tries again. A process of its own, because Node reads NODE_EXTRA_CA_CERTS at its start.
let outcome: unknown;
const write = (line: string) => {
  const { reason } = JSON.parse(line);
  if (!/timeout/i.test(reason)) outcome = reason;
};
const logger = pino({}, { write });
const clock = { ...systemClock, monotonicMs: () => 100 * systemClock.monotonicMs() }; // so that each attempt logs its reason
const redis = new RedisConnection({ redis: parseRedisUrl(process.argv[2] ?? ''), clock, logger });
await until(async () => {
  outcome ??= await redis.attempt(() => redis.send('INCR', 'key'));
  return outcome !== undefined;
});
redis.close();
process.stdout.write(`${outcome}\n`);
