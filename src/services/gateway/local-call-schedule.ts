import type { CompanyLimits } from '../../strategies/accounting-strategy.ts';
import type { Clock } from '../../utils/clock.ts';
import { type CallSchedule, MAX_DELAY_MS, MAX_WAIT_MS, type Turn, type Window, windowsOf } from './call-schedule.ts';

interface Company {
  /** When its latest calls were or will be sent, oldest first. */
  calls: number[];
  pausedUntil: number;
}

/** The turns that this process gives. */
export class LocalCallSchedule implements CallSchedule {
  private readonly clock: Clock;
  /** The company whose last request is the longest ago comes first. */
  private readonly companies = new Map<string, Company>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  reserve(name: string, limits: CompanyLimits): Turn {
    const now = this.clock.monotonicMs();
    const company = this.touch(name, now);
    if (company.pausedUntil > now) return { isReserved: false, retryAfterMs: company.pausedUntil - now };
    const windows = windowsOf(limits);
    if (windows.length === 0) return { isReserved: true, from: now, until: Number.POSITIVE_INFINITY };
    const { calls } = company;
    const at = Math.max(now, ...windows.map(({ max, ms }) => (calls.at(-max) ?? Number.NEGATIVE_INFINITY) + ms));
    if (at - now > MAX_WAIT_MS) return { isReserved: false, retryAfterMs: at - now };
    add(calls, at, windows);
    return { isReserved: true, from: at, until: at + MAX_DELAY_MS };
  }

  /** Counts a turn that was reserved elsewhere. */
  record(name: string, limits: CompanyLimits, from: number): void {
    add(this.touch(name, this.clock.monotonicMs()).calls, from, windowsOf(limits));
  }

  pause(name: string, milliseconds: number): void {
    const now = this.clock.monotonicMs();
    this.touch(name, now).pausedUntil = now + milliseconds;
  }

  pauseLeftMs(name: string): number {
    const pausedUntil = this.companies.get(name)?.pausedUntil ?? 0;
    return Math.max(0, pausedUntil - this.clock.monotonicMs());
  }

  /** Returns the company as the last one used, and forgets the first one if it no longer limits anything. */
  private touch(name: string, now: number): Company {
    const company = this.companies.get(name) ?? { calls: [], pausedUntil: 0 };
    this.companies.delete(name);
    this.companies.set(name, company);
    const [[oldest, { calls, pausedUntil }]] = this.companies as unknown as [[string, Company]];
    const freeAt = Math.max(pausedUntil, (calls.at(-1) ?? 0) + LONGEST_WINDOW_MS);
    if (oldest !== name && freeAt < now) this.companies.delete(oldest);
    return company;
  }
}

/** Keeps no more calls than the windows need. */
function add(calls: number[], at: number, windows: Window[]): void {
  calls.push(at);
  if (calls.length > Math.max(0, ...windows.map(({ max }) => max))) calls.shift();
}

const LONGEST_WINDOW_MS = Math.max(...windowsOf({ perSecond: 1, perMinute: 1 }).map(({ ms }) => ms));
