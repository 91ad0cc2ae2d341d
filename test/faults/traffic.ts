import { setTimeout as delay } from 'node:timers/promises';
import type { ServiceProcess } from '../support/processes.ts';

/** One answer of the gateway, as its caller saw it. */
export interface Answer {
  organization: string;
  replica: ServiceProcess;
  /** 0: none came. */
  status: number;
  retryAfter: string | null;
  /** When it came, by `performance.now()`. */
  at: number;
  /** How long the caller waited, in milliseconds. */
  waited: number;
}

/** One call through the gateway. */
export async function call(replica: ServiceProcess, organization = 'org'): Promise<Answer> {
  const began = performance.now();
  const answer = (status: number, retryAfter: string | null): Answer => {
    const at = performance.now();
    return { organization, replica, status, retryAfter, at, waited: at - began };
  };
  try {
    const response = await fetch(`${replica.origin}/api/v1/quickbooks/${organization}/companyinfo/1`);
    await response.arrayBuffer();
    return answer(response.status, response.headers.get('retry-after'));
  } catch {
    return answer(0, null);
  }
}

/** Many calls at once, shared evenly among the replicas. */
export async function callAtOnce(replicas: ServiceProcess[], times: number): Promise<Answer[]> {
  return Promise.all(
    Array.from({ length: times }, (_, index) => call(replicas[index % replicas.length] as ServiceProcess)),
  );
}

/** Callers who call again and again until they are stopped. */
export class Traffic {
  readonly began = performance.now();
  readonly answers: Answer[] = [];
  private running = true;
  private readonly callers: Promise<void>[];

  /** @param each callers of each replica for each organization */
  constructor(replicas: ServiceProcess[], { each = 5, pauseMs = 200, organizations = ['org'] } = {}) {
    const lanes = replicas.flatMap((replica) => organizations.map((organization) => ({ replica, organization })));
    this.callers = lanes.flatMap(({ replica, organization }) =>
      Array.from({ length: each }, async (_, index) => {
        await delay((index * pauseMs) / each);
        while (this.running) {
          this.answers.push(await call(replica, organization));
          await delay(pauseMs);
        }
      }),
    );
  }

  /** Resolves when the condition is true, or the time is over. */
  async until(condition: (answers: Answer[]) => boolean, seconds: number): Promise<void> {
    await until(() => condition(this.answers), seconds);
  }

  /** Lets the calls on the way end, and answers all there were. */
  async stop(): Promise<Answer[]> {
    this.running = false;
    await Promise.all(this.callers);
    return this.answers;
  }

  /** When an answer with this status first came, in milliseconds since `since`; infinite where none did. */
  first(status: number, since = this.began): number {
    const first = this.answers.find((answer) => answer.status === status && answer.at >= since);
    return (first?.at ?? Number.POSITIVE_INFINITY) - since;
  }
}

/** Resolves when the condition is true, or the time is over. */
export async function until(condition: () => boolean, seconds: number): Promise<void> {
  const deadline = performance.now() + seconds * 1000;
  while (!condition() && performance.now() < deadline) await delay(20);
}

/** `503 × 12, 200 × 5`, in the order in which they first came. */
export function tally(answers: Answer[]): string {
  const counts = new Map<number, number>();
  for (const { status } of answers) counts.set(status, (counts.get(status) ?? 0) + 1);
  return [...counts].map(([status, count]) => `${status || 'cut off'} × ${count}`).join(', ');
}

/** The longest that anybody waited, in milliseconds. */
export function longest(answers: Answer[]): number {
  return Math.max(0, ...answers.map(({ waited }) => waited));
}

/** True where every answer has one of the statuses. */
export function only(answers: Answer[], ...statuses: number[]): boolean {
  return answers.every(({ status }) => statuses.includes(status));
}

/** Milliseconds as seconds: `16.5 s`. */
export function seconds(milliseconds: number): string {
  return Number.isFinite(milliseconds) ? `${(milliseconds / 1000).toFixed(1)} s` : 'never';
}
