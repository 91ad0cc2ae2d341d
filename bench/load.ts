import { setTimeout as delay } from 'node:timers/promises';
import autocannon from 'autocannon';
import { Client } from 'undici';
import type { ServiceProcess } from '../test/support/processes.ts';
import { cpuMicroseconds } from './process-usage.ts';

/** The requests to send, and their server. */
export interface Target {
  server: ServiceProcess;
  /** Each connection requests them in a random order of its own, repeatedly. */
  paths: string[];
  headers: Record<string, string>;
  /** Part of every correct response. */
  expectedText: string;
}

/** The figures of one round. Latencies are in milliseconds. */
export interface Round {
  requests: number;
  perSecond: number;
  p50: number;
  p99: number;
  /** The server's processor time per request, in microseconds. */
  cpu: number;
}

interface ClosedLoop {
  connections: number;
  seconds: number;
}

interface OpenLoop extends ClosedLoop {
  /** Requests per second on each connection. */
  rate: number;
}

/** Each connection sends its next request when it has received a response. Rejects if a response is not as expected. */
export async function closedLoop(target: Target, { connections, seconds }: ClosedLoop): Promise<Round> {
  return measure(target, async (latencies) => {
    const options = {
      url: target.server.origin,
      connections,
      duration: seconds,
      headers: target.headers,
      setupClient: (client: autocannon.Client) =>
        client.setRequests(shuffle(target.paths).map((path) => ({ method: 'GET', path }))),
      verifyBody: (body: unknown) => String(body).includes(target.expectedText),
    };
    const { non2xx, errors, timeouts, mismatches } = await new Promise<autocannon.Result>((resolve, reject) => {
      const run = autocannon(options, (error, result) => (error ? reject(error) : resolve(result)));
      run.on('response', (_client, _status, _bytes, milliseconds) => latencies.push(milliseconds));
    });
    return { non2xx, errors, timeouts, mismatches };
  });
}

/** Each connection sends requests at random instants, at a fixed mean rate. Rejects if a response is not as expected. */
export async function openLoop(target: Target, { connections, seconds, rate }: OpenLoop): Promise<Round> {
  return measure(target, async (latencies) => {
    let mismatches = 0;
    const endsAt = performance.now() + seconds * 1000;
    const call = async () => {
      const client = new Client(target.server.origin);
      for (const path of shuffle(target.paths)) {
        await delay((-Math.log(1 - Math.random()) * 1000) / rate);
        if (performance.now() > endsAt) break;
        const startedAt = performance.now();
        const { statusCode, body } = await client.request({ method: 'GET', path, headers: target.headers });
        const isExpected = (await body.text()).includes(target.expectedText) && statusCode === 200;
        latencies.push(performance.now() - startedAt);
        if (!isExpected) mismatches += 1;
      }
      await client.close();
    };
    await Promise.all(Array.from({ length: connections }, call));
    return { mismatches };
  });
}

/** @param send adds the latency of each response, and counts what went wrong by its kind */
async function measure(
  { server }: Target,
  send: (latencies: number[]) => Promise<Record<string, number>>,
): Promise<Round> {
  const latencies: number[] = [];
  const cpuBefore = await cpuMicroseconds(server.pid);
  const startedAt = performance.now();
  const faults = await send(latencies);
  const seconds = (performance.now() - startedAt) / 1000;
  const cpu = (await cpuMicroseconds(server.pid)) - cpuBefore;
  const requests = latencies.length;
  if (requests === 0 || Object.values(faults).some((count) => count > 0)) {
    throw new Error(`${requests} responses from ${server.origin}, of which not as expected: ${JSON.stringify(faults)}`);
  }
  latencies.sort((a, b) => a - b);
  const percentile = (share: number) => latencies[Math.floor(requests * share)] ?? Number.NaN;
  return { requests, perSecond: requests / seconds, p50: percentile(0.5), p99: percentile(0.99), cpu: cpu / requests };
}

function shuffle<T>(items: T[]): T[] {
  const keyed = items.map((item) => ({ item, key: Math.random() }));
  return keyed.sort((a, b) => a.key - b.key).map(({ item }) => item);
}
