import { setTimeout as delay } from 'node:timers/promises';
import type { ServiceProcess } from '../support/processes.ts';
import { until } from '../support/until.ts';

/** One call through the gateway, as its caller sees it. */
export interface CallResult {
  organization: string;
  /** 0 if the connection was closed without a response. */
  status: number;
  /** The header, as it was sent. */
  retryAfter: string | null;
  /** When the response arrived, in milliseconds since 1970. */
  at: number;
  latencyMs: number;
}

/** Calls the gateway once. Never rejects. */
export async function call(replica: ServiceProcess, organization = 'org'): Promise<CallResult> {
  const startedAt = performance.now();
  const result = (status: number, retryAfter: string | null) => {
    return { organization, status, retryAfter, at: Date.now(), latencyMs: performance.now() - startedAt };
  };
  try {
    const response = await fetch(`${replica.origin}/api/v1/quickbooks/${organization}/companyinfo/1`);
    await response.arrayBuffer();
    return result(response.status, response.headers.get('retry-after'));
  } catch {
    return result(0, null);
  }
}

/** Makes calls at the same time, distributed evenly among the replicas. */
export async function callConcurrently(replicas: ServiceProcess[], count: number): Promise<CallResult[]> {
  return Promise.all(
    Array.from({ length: count }, (_, index) => call(replicas[index % replicas.length] as ServiceProcess)),
  );
}

export interface TrafficOptions {
  replicas: ServiceProcess[];
  organizations?: string[];
  /** Concurrent callers of each replica, for each organization. */
  callers?: number;
  /** Between two calls of one caller. */
  pauseMs?: number;
}

/** Callers that call repeatedly until they are stopped. */
export class Traffic {
  readonly startedAt = Date.now();
  readonly results: CallResult[] = [];
  readonly replicas: ServiceProcess[];
  private isRunning = true;
  private readonly callers: Promise<void>[];

  constructor({ replicas, organizations = ['org'], callers = 5, pauseMs = 200 }: TrafficOptions) {
    this.replicas = replicas;
    const lanes = replicas.flatMap((replica) => organizations.map((organization) => ({ replica, organization })));
    this.callers = lanes.flatMap(({ replica, organization }) =>
      Array.from({ length: callers }, async (_, index) => {
        await delay((index * pauseMs) / callers);
        while (this.isRunning) {
          this.results.push(await call(replica, organization));
          await delay(pauseMs);
        }
      }),
    );
  }

  /** Resolves once the condition holds or the traffic is stopped. */
  async until(condition: () => boolean): Promise<void> {
    await until(() => condition() || !this.isRunning);
  }

  /** Resolves once a call has returned the status, with the milliseconds from `since` until then. */
  async untilStatus(status: number, since = this.startedAt): Promise<number> {
    const first = () => this.results.find((result) => result.status === status && result.at >= since);
    await this.until(() => first() !== undefined);
    return (first()?.at ?? Number.POSITIVE_INFINITY) - since;
  }

  /** Waits for the calls in flight, and returns the results of all calls. */
  async stop(): Promise<CallResult[]> {
    this.isRunning = false;
    await Promise.all(this.callers);
    return this.results;
  }
}
