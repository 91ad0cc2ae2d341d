import { setTimeout as delay } from 'node:timers/promises';
import autocannon from 'autocannon';
import { Client } from 'undici';
import type { Measured } from './child.ts';

/** What is asked, and of whom. */
export interface Target {
  process: Measured;
  /** Each connection asks for them in an order of its own, again and again. */
  paths: string[];
  headers: Record<string, string>;
  /** What every right answer holds. */
  holds: string;
}

/** What one round showed. Times are in milliseconds. */
export interface Round {
  requests: number;
  perSecond: number;
  p50: number;
  p99: number;
  /** The process's own processor time for one request, in microseconds. */
  cpu: number;
}

/** Asks on each connection as fast as the answers come. @throws Error where one is not 200 or not the right one */
export async function flatOut(target: Target, connections: number, seconds: number): Promise<Round> {
  return measure(target, async (times) => {
    const options = {
      url: target.process.origin,
      connections,
      duration: seconds,
      headers: target.headers,
      setupClient: (client: autocannon.Client) =>
        client.setRequests(shuffled(target.paths).map((path) => ({ method: 'GET', path }))),
      verifyBody: (body: unknown) => String(body).includes(target.holds),
    };
    const { non2xx, errors, timeouts, mismatches } = await new Promise<autocannon.Result>((resolve, reject) => {
      const run = autocannon(options, (error, result) => (error ? reject(error) : resolve(result)));
      run.on('response', (_client, _status, _bytes, milliseconds) => times.push(milliseconds));
    });
    return non2xx + errors + timeouts + mismatches;
  });
}

/** Asks on each connection so many times a second, at random instants. @throws as `flatOut` */
export async function paced(target: Target, connections: number, rate: number, seconds: number): Promise<Round> {
  return measure(target, async (times) => {
    let wrong = 0;
    const end = performance.now() + seconds * 1000;
    const call = async () => {
      const client = new Client(target.process.origin);
      for (const path of shuffled(target.paths)) {
        await delay((-Math.log(1 - Math.random()) * 1000) / rate);
        if (performance.now() > end) break;
        const asked = performance.now();
        const { statusCode, body } = await client.request({ method: 'GET', path, headers: target.headers });
        const isRight = (await body.text()).includes(target.holds) && statusCode === 200;
        times.push(performance.now() - asked);
        if (!isRight) wrong += 1;
      }
      await client.close();
    };
    await Promise.all(Array.from({ length: connections }, call));
    return wrong;
  });
}

/** @param ask adds the time of each answer, and answers how many were wrong */
async function measure({ process }: Target, ask: (times: number[]) => Promise<number>): Promise<Round> {
  const times: number[] = [];
  const cpu = await process.cpu();
  const began = performance.now();
  const wrong = await ask(times);
  const seconds = (performance.now() - began) / 1000;
  const requests = times.length;
  if (wrong > 0 || requests === 0) throw new Error(`${wrong} of ${requests} answers were not as they should be`);
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor(requests * share)] ?? Number.NaN;
  const used = (await process.cpu()) - cpu;
  return { requests, perSecond: requests / seconds, p50: at(0.5), p99: at(0.99), cpu: used / requests };
}

function shuffled<T>(items: T[]): T[] {
  const keyed = items.map((item) => ({ item, key: Math.random() }));
  return keyed.sort((a, b) => a.key - b.key).map(({ item }) => item);
}
