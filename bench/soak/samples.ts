import type { ServiceProcess } from '../../test/support/processes.ts';
import { residentBytes } from '../process-usage.ts';
import { median } from '../rounds.ts';
import type { SoakEnvironment } from './environment.ts';
import { remotePorts } from './sockets.ts';

export type Peer = keyof SoakEnvironment['ports'] | 'callers';

/** One replica at one moment. */
export interface Sample {
  /** Since the beginning of the run. */
  seconds: number;
  residentBytes: number;
  /** Open connections by who is at the other end. */
  sockets: Record<Peer, number>;
}

/** The share of a run in which caches fill and code is compiled. */
const WARM_UP = 0.1;

export async function takeSample(
  { pid }: ServiceProcess,
  ports: SoakEnvironment['ports'],
  seconds: number,
): Promise<Sample> {
  const [memory, remote] = await Promise.all([residentBytes(pid), remotePorts(pid)]);
  const names = new Map(Object.entries(ports).map(([name, port]) => [port, name as Peer]));
  const sockets: Sample['sockets'] = { QuickBooks: 0, MySQL: 0, Redis: 0, callers: 0 };
  for (const port of remote) sockets[names.get(port) ?? 'callers'] += 1;
  return { seconds, residentBytes: memory, sockets };
}

/** The median memory in the first and in the last quarter after the warm-up, in bytes. */
export function memoryTrend(samples: Sample[]): { first: number; last: number } {
  const warm = samples.slice(Math.ceil(samples.length * WARM_UP)).map(({ residentBytes: bytes }) => bytes);
  const quarter = Math.ceil(warm.length / 4);
  return { first: median(warm.slice(0, quarter)), last: median(warm.slice(-quarter)) };
}
