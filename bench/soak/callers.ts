import { randomBytes, randomUUID } from 'node:crypto';
import { createHistogram } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { type Dispatcher, Pool } from 'undici';
import { readMetrics } from '../../test/support/metrics.ts';
import type { ServiceProcess } from '../../test/support/processes.ts';

interface CallersOptions {
  replicas: ServiceProcess[];
  organizations: string[];
  /** Calls per second for each organization, while none is rejected. */
  rate: number;
  headers: Record<string, string>;
}

const LARGE_BODY = randomBytes(2 * 1024 * 1024);

/** The calls and their shares: mostly small reads, some writes, few large bodies. */
const CALLS: [share: number, call: () => Partial<Dispatcher.RequestOptions> & { path: string }][] = [
  [0.62, () => ({ path: 'invoice/1?minorversion=75' })],
  [0.2, () => ({ path: 'query?query=select%20*%20from%20Invoice' })],
  [0.15, () => post('invoice', JSON.stringify({ Id: '2', DocNumber: '1002', PrivateNote: randomUUID() }))],
  [0.027, () => ({ path: 'invoice/1/pdf' })],
  [0.002, () => ({ path: 'bulk?bytes=3000000' })],
  [0.001, () => post('echo', LARGE_BODY)],
];
/** The share of calls whose caller leaves before the response has arrived. */
const LEAVING = 0.002;
const MAX_STAY_MS = 1_000;
/**
 * The organizations begin one after the other. Node.js accepts one connection per turn of its event loop: if all of them called
 * at once, the simulated QuickBooks could not know when a call on a new connection has arrived.
 */
const RAMP_MS = 20_000;

/** Callers that send slightly more than the limits allow, and respect `Retry-After`. */
export class Callers {
  /** Responses by status, calls abandoned by their caller as `left`, and failed connections as `failed`. */
  readonly outcomes = new Map<string, number>();
  /** Microseconds from a call to the end of its response, if that was 200. */
  readonly latencies = createHistogram();
  private readonly options: CallersOptions;
  private readonly pools: Pool[];
  private readonly inFlight = new Set<Promise<void>>();
  private isRunning = true;
  private readonly loops: Promise<void>[];

  constructor(options: CallersOptions) {
    this.options = options;
    this.pools = options.replicas.map(({ origin }) => new Pool(origin));
    const intervalMs = RAMP_MS / options.organizations.length;
    this.loops = options.organizations.map((organization, index) =>
      this.callRepeatedly(organization, index * intervalMs),
    );
  }

  count(outcome: string): number {
    return this.outcomes.get(outcome) ?? 0;
  }

  get total(): number {
    return [...this.outcomes.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Resolves when the calls in flight have ended. */
  async stop(): Promise<void> {
    this.isRunning = false;
    await Promise.all(this.loops);
    await Promise.all(this.inFlight);
  }

  /** The metrics of all replicas, added up. */
  async metrics(): Promise<Record<string, number>> {
    const sums: Record<string, number> = {};
    for (const pool of this.pools) {
      const { body } = await pool.request({ method: 'GET', path: '/metrics' });
      for (const [name, value] of Object.entries(readMetrics(await body.text())))
        sums[name] = (sums[name] ?? 0) + value;
    }
    return sums;
  }

  /** Closes all connections. */
  async close(): Promise<void> {
    await Promise.all(this.pools.map((pool) => pool.close()));
  }

  /** Sends calls at random times. */
  private async callRepeatedly(organization: string, afterMs: number): Promise<void> {
    const state = { pausedUntil: 0 };
    await delay(afterMs);
    while (this.isRunning) {
      await delay(
        Math.max((-Math.log(1 - Math.random()) * 1000) / this.options.rate, state.pausedUntil - performance.now()),
      );
      const call = this.call(organization, state);
      this.inFlight.add(call);
      void call.finally(() => this.inFlight.delete(call));
    }
  }

  private async call(organization: string, state: { pausedUntil: number }): Promise<void> {
    const startedAt = performance.now();
    const leaves = Math.random() < LEAVING;
    const { path, headers, ...request } = chooseCall();
    const pool = this.pools[Math.floor(Math.random() * this.pools.length)] as Pool;
    try {
      const response = await pool.request({
        method: 'GET',
        path: `/api/v1/quickbooks/${organization}/${path}`,
        ...request,
        headers: { ...this.options.headers, ...(headers as Record<string, string>) },
        signal: leaves ? AbortSignal.timeout(Math.random() * MAX_STAY_MS) : null,
      });
      await response.body.dump({ limit: Number.POSITIVE_INFINITY });
      const { statusCode } = response;
      this.add(String(statusCode));
      if (statusCode === 200) this.latencies.record(Math.max(1, Math.round((performance.now() - startedAt) * 1000)));
      const seconds = Number(response.headers['retry-after'] ?? 0);
      state.pausedUntil = Math.max(state.pausedUntil, performance.now() + seconds * 1000);
    } catch {
      this.add(leaves ? 'left' : 'failed');
    }
  }

  private add(outcome: string): void {
    this.outcomes.set(outcome, this.count(outcome) + 1);
  }
}

function chooseCall() {
  let left = Math.random();
  for (const [share, call] of CALLS) {
    if (left < share) return call();
    left -= share;
  }
  return (CALLS[0] as (typeof CALLS)[number])[1]();
}

function post(path: string, body: string | Buffer) {
  const headers = { 'content-type': 'application/json', 'idempotency-key': randomUUID() };
  return { method: 'POST' as const, path, body, headers };
}
