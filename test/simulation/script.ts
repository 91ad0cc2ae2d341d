import type { Conditions, Mishap, OutageKind } from './conditions.ts';
import type { Customer } from './customer.ts';
import type { Fleet } from './fleet.ts';
import { HARD_MS } from './provider.ts';
import type { Random } from './random.ts';
import { DAY, HOUR, MINUTE, SECOND, type VirtualTime } from './virtual-time.ts';

/** How big a run is. */
export interface Size {
  seed: number;
  connections: number;
  days: number;
  replicas: number;
  /** How much more often than usual things go wrong. */
  trouble: number;
  /** How often the workers look for what is due, in milliseconds. */
  workerMs: number;
}

/** The last days are quiet, so that what can still come right does. */
const QUIET_MS = 4 * DAY;

/** How often they ask, on the average; some never do. */
const HABITS = [
  { share: 0.08, gapMs: 4 * HOUR },
  { share: 0.3, gapMs: DAY },
  { share: 0.27, gapMs: 10 * DAY },
  { share: 0.2, gapMs: 150 * DAY },
  { share: 0.15, gapMs: Number.POSITIVE_INFINITY },
];
/** Every so many connections one begins so old that its five years end in the run. */
const OLD_ONE_OF = 12;
/** Mishaps are as frequent as said below for so many connections. */
const MISHAPS_FOR = 400;

const OUTAGES: { kind: OutageKind; gapMs: number; leastMs: number; mostMs: number }[] = [
  { kind: 'unavailable', gapMs: 12 * DAY, leastMs: MINUTE, mostMs: 8 * HOUR },
  { kind: 'away', gapMs: 30 * DAY, leastMs: 10 * SECOND, mostMs: HOUR },
  { kind: 'hanging', gapMs: 20 * DAY, leastMs: MINUTE, mostMs: HOUR },
  { kind: 'slow', gapMs: 20 * DAY, leastMs: 5 * MINUTE, mostMs: 2 * HOUR },
];
/** Recovery spans a day: a provider that lies for longer, or twice within it, is not to be told from one that says the truth. */
const LYING = { gapMs: 15 * DAY, leastMs: 5 * MINUTE, mostMs: 18 * HOUR, pauseMs: 2 * DAY };

/** Plans everything that happens from outside: the same for every handler. */
export function plan(
  { connections, days, trouble, workerMs }: Size,
  time: VirtualTime,
  random: Random,
  conditions: Conditions,
  fleet: Fleet,
  customers: Customer[],
): void {
  const end = time.now + days * DAY;
  const calm = end - QUIET_MS;
  /** Again and again until the calm, by a stream of its own. */
  const repeat = (name: string, gapMs: number, work: (own: Random) => unknown, until = calm) => {
    const own = random.fork(name);
    const next = () => {
      const at = time.now + own.gap(gapMs);
      if (at < until)
        time.at(at, () => {
          work(own);
          next();
        });
    };
    next();
  };
  const during = (own: Random, leastMs: number, mostMs: number) =>
    Math.min(time.now + own.scaled(leastMs, mostMs), calm);

  planOutages();
  planProcesses();
  for (const [index, customer] of customers.entries()) planCustomer(customer, index);

  function planOutages(): void {
    for (const { kind, gapMs, leastMs, mostMs } of OUTAGES) {
      repeat(kind, gapMs / trouble, (own) => conditions.beginOutage(kind, during(own, leastMs, mostMs)));
    }
    const lying = random.fork('lying');
    for (let at = time.now + lying.gap(LYING.gapMs / trouble); at < calm; ) {
      const lasts = lying.scaled(LYING.leastMs, LYING.mostMs);
      time.at(at, () => conditions.beginOutage('lying', Math.min(time.now + lasts, calm)));
      at += LYING.pauseMs + lying.gap(LYING.gapMs / trouble);
    }
    if (days > 100)
      time.at(time.now + 0.6 * days * DAY, () => conditions.beginOutage('unavailable', time.now + 7 * DAY));
    repeat('database', (4 * DAY) / trouble, (own) => conditions.beginDatabaseOutage(during(own, SECOND, HOUR)));
  }

  function planProcesses(): void {
    repeat('worker', workerMs, () => fleet.beat(), end);
    repeat('crash', (2 * DAY) / trouble, () => fleet.crashAny());
    repeat('deploy', (3 * DAY) / trouble, () => fleet.deploy());
    const mishap = (kind: Mishap['kind'], gapMs: number, leastMs = 0, mostMs = 0) =>
      repeat(kind, (gapMs / trouble) * (MISHAPS_FOR / connections), (own) =>
        conditions.await({ kind, milliseconds: own.scaled(leastMs, mostMs) }),
      );
    mishap('answer lost', 5 * DAY);
    mishap('crash before the call', 3 * DAY);
    mishap('crash before the save', 5 * DAY);
    mishap('database away', 2 * DAY, SECOND, 3 * MINUTE);
    mishap('replica cut off', 2 * DAY, SECOND, 2 * MINUTE);
  }

  function planCustomer(customer: Customer, index: number): void {
    const own = random.fork(`customer ${index}`);
    const isOld = index % OLD_ONE_OF === 0;
    const consentedAt = isOld ? time.now + own.between(0.1, 0.9) * days * DAY - HARD_MS : undefined;
    time.after(own.between(0, 2 * DAY), () => customer.connect(consentedAt));
    const { gapMs } = habitOf(index / connections);
    if (gapMs < days * DAY) repeat(`visits ${index}`, gapMs, (visits) => customer.visit(requests(visits)), end);
    repeat(`revocation ${index}`, (2500 * DAY) / trouble, () => customer.revoke());
    repeat(`reconnection ${index}`, (1500 * DAY) / trouble, () => customer.reconnect());
    repeat(`disconnection ${index}`, (1500 * DAY) / trouble, (away) =>
      customer.disconnect(away.scaled(MINUTE, 60 * DAY)),
    );
  }
}

function requests(random: Random): number {
  return random.chance(0.6) ? 1 : Math.floor(random.between(2, 6));
}

function habitOf(share: number): (typeof HABITS)[number] {
  let sum = 0;
  for (const habit of HABITS) {
    sum += habit.share;
    if (share < sum) return habit;
  }
  return HABITS.at(-1) as (typeof HABITS)[number];
}
