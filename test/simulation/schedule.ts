import type { Cluster } from './cluster.ts';
import type { Customer } from './customer.ts';
import type { FaultInjector, ProviderOutage, RefreshFault } from './fault-injector.ts';
import { AUTHORIZATION_MS } from './provider.ts';
import type { Random } from './random.ts';
import type { Recorder } from './recorder.ts';
import { DAY, HOUR, MINUTE, SECOND, type VirtualTime } from './virtual-time.ts';

/** The size of a run. */
export interface RunSize {
  seed: number;
  connections: number;
  days: number;
  replicas: number;
  /** Multiplies the frequency of all faults. */
  faultRate: number;
  /** How often the background jobs of all processes run at the same time, on average. */
  jobIntervalMs: number;
}

/** How often one process looks for what is due: less often than in the service, where each does so every few seconds. */
const DUE_JOBS_MS = 10 * MINUTE;

/** The last days of a run have no new faults, so that connections can recover. */
const FAULT_FREE_MS = 4 * DAY;

/** How often customers send requests, on average. */
const USAGE_PATTERNS = [
  { share: 0.08, gapMs: 4 * HOUR },
  { share: 0.3, gapMs: DAY },
  { share: 0.27, gapMs: 10 * DAY },
  { share: 0.2, gapMs: 150 * DAY },
  { share: 0.15, gapMs: Number.POSITIVE_INFINITY },
];
/** One connection in this many begins so old that its authorization ends during the run. */
const EXPIRING_ONE_IN = 12;
/** Faults in the middle of a refresh are as frequent as stated below for this many connections. */
const REFRESH_FAULTS_PER = 400;

interface Frequency {
  gapMs: number;
  minMs: number;
  maxMs: number;
}

const OUTAGES: ({ kind: ProviderOutage } & Frequency)[] = [
  { kind: 'unavailable', gapMs: 12 * DAY, minMs: MINUTE, maxMs: 8 * HOUR },
  { kind: 'refusing', gapMs: 30 * DAY, minMs: 10 * SECOND, maxMs: HOUR },
  { kind: 'hanging', gapMs: 20 * DAY, minMs: MINUTE, maxMs: HOUR },
  { kind: 'slow', gapMs: 20 * DAY, minMs: 5 * MINUTE, maxMs: 2 * HOUR },
];
/** Recovery takes a day: longer or more frequent false rejections cannot be distinguished from true ones. */
const FALSE_REJECTIONS = { gapMs: 15 * DAY, minMs: 5 * MINUTE, maxMs: 18 * HOUR, pauseMs: 2 * DAY };

const REFRESH_FAULTS: ({ kind: RefreshFault['kind'] } & Frequency)[] = [
  { kind: 'response_lost', gapMs: 5 * DAY, minMs: 0, maxMs: 0 },
  { kind: 'crash_before_call', gapMs: 3 * DAY, minMs: 0, maxMs: 0 },
  { kind: 'crash_before_save', gapMs: 5 * DAY, minMs: 0, maxMs: 0 },
  { kind: 'pause_before_call', gapMs: 3 * DAY, minMs: SECOND, maxMs: 40 * SECOND },
  { kind: 'pause_before_save', gapMs: 3 * DAY, minMs: SECOND, maxMs: 40 * SECOND },
  { kind: 'database_outage', gapMs: 2 * DAY, minMs: SECOND, maxMs: 3 * MINUTE },
  { kind: 'lag', gapMs: DAY, minMs: SECOND, maxMs: MINUTE },
  { kind: 'partition', gapMs: 2 * DAY, minMs: SECOND, maxMs: 2 * MINUTE },
];

/** What events act on. */
export interface Targets {
  time: VirtualTime;
  random: Random;
  faults: FaultInjector;
  cluster: Cluster;
  customers: Customer[];
  recorder: Recorder;
}

/** Schedules every external event of a run. Each kind draws from a random stream of its own, the same for every implementation. */
export function scheduleEvents(size: RunSize, { time, random, faults, cluster, customers, recorder }: Targets): void {
  const { connections, days, faultRate, jobIntervalMs } = size;
  const endsAt = time.now + days * DAY;
  const faultsEndAt = endsAt - FAULT_FREE_MS;

  const repeat = (name: string, gapMs: number, action: (stream: Random) => unknown, until = faultsEndAt) => {
    const stream = random.fork(name);
    const scheduleNext = () => {
      const at = time.now + stream.exponential(gapMs);
      if (at >= until) return;
      time.at(at, () => {
        action(stream);
        scheduleNext();
      });
    };
    scheduleNext();
  };
  const endOf = (stream: Random, { minMs, maxMs }: Omit<Frequency, 'gapMs'>) =>
    Math.min(time.now + stream.logUniform(minMs, maxMs), faultsEndAt);

  scheduleOutages();
  scheduleProcessEvents();
  for (const [index, customer] of customers.entries()) scheduleCustomer(customer, index);

  function scheduleOutages(): void {
    for (const { kind, gapMs, ...duration } of OUTAGES) {
      repeat(kind, gapMs / faultRate, (stream) => faults.startProviderOutage(kind, endOf(stream, duration)));
    }
    const stream = random.fork('false_rejections');
    const gap = () => stream.exponential(FALSE_REJECTIONS.gapMs / faultRate);
    for (let at = time.now + gap(); at < faultsEndAt; at += FALSE_REJECTIONS.pauseMs + gap()) {
      const durationMs = stream.logUniform(FALSE_REJECTIONS.minMs, FALSE_REJECTIONS.maxMs);
      const outageEndsAt = Math.min(at + durationMs, faultsEndAt);
      time.at(at, () => faults.startProviderOutage('false_rejections', outageEndsAt));
    }
    if (days > 100) {
      time.after(0.6 * days * DAY, () => faults.startProviderOutage('unavailable', time.now + 7 * DAY));
    }
    repeat('database', (4 * DAY) / faultRate, (own) =>
      faults.startDatabaseOutage(endOf(own, { minMs: SECOND, maxMs: HOUR })),
    );
  }

  function scheduleProcessEvents(): void {
    repeat('jobs', jobIntervalMs, () => cluster.runJobs(), endsAt);
    repeat('due jobs', DUE_JOBS_MS, () => cluster.runDueJobs(), endsAt);
    repeat('crash', (2 * DAY) / faultRate, () => cluster.crashRandom());
    repeat('deploy', (3 * DAY) / faultRate, () => cluster.deploy());
    repeat('pause', DAY / faultRate, (stream) => {
      recorder.count('pauses of a process');
      cluster.pauseRandom(stream.logUniform(SECOND, 40 * SECOND));
    });
    repeat('node lags', DAY / 4 / faultRate, (stream) => cluster.lagRandomNode(stream.logUniform(SECOND, 2 * MINUTE)));
    for (const { kind, gapMs, minMs, maxMs } of REFRESH_FAULTS) {
      repeat(kind, (gapMs / faultRate) * (REFRESH_FAULTS_PER / connections), (stream) =>
        faults.armRefreshFault({ kind, durationMs: stream.logUniform(minMs, maxMs) }),
      );
    }
  }

  function scheduleCustomer(customer: Customer, index: number): void {
    const stream = random.fork(`customer ${index}`);
    const isExpiring = index % EXPIRING_ONE_IN === 0;
    const expiresAt = time.now + stream.uniform(0.1, 0.9) * days * DAY;
    time.after(stream.uniform(0, 2 * DAY), () =>
      customer.connect(isExpiring ? expiresAt - AUTHORIZATION_MS : undefined),
    );
    const { gapMs } = usagePattern(index / connections);
    if (gapMs < days * DAY) {
      repeat(`requests ${index}`, gapMs, (own) => customer.sendRequests(requestCount(own)), endsAt);
    }
    repeat(`revoke ${index}`, (2500 * DAY) / faultRate, () => customer.revoke());
    repeat(`reconnect ${index}`, (1500 * DAY) / faultRate, () => customer.reconnect());
    repeat(`claim ${index}`, (300 * DAY) / faultRate, () => {
      recorder.count('false claims of a company');
      return customer.claimOwnCompany(`stranger-${index + 1}`);
    });
    repeat(`disconnect ${index}`, (1500 * DAY) / faultRate, (own) =>
      customer.disconnect(own.logUniform(MINUTE, 60 * DAY)),
    );
  }
}

function requestCount(random: Random): number {
  return random.chance(0.6) ? 1 : Math.floor(random.uniform(2, 6));
}

/** @param position of the customer among all, from 0 to 1 */
function usagePattern(position: number): (typeof USAGE_PATTERNS)[number] {
  let sum = 0;
  for (const pattern of USAGE_PATTERNS) {
    sum += pattern.share;
    if (position < sum) return pattern;
  }
  return USAGE_PATTERNS.at(-1) as (typeof USAGE_PATTERNS)[number];
}
