import { Cluster } from './cluster.ts';
import { Customer } from './customer.ts';
import { FaultInjector } from './fault-injector.ts';
import type { Environment, Implementation } from './implementation.ts';
import { Provider } from './provider.ts';
import { Random } from './random.ts';
import { Recorder } from './recorder.ts';
import { type RunSize, scheduleEvents } from './schedule.ts';
import { DAY, HOUR, VirtualTime } from './virtual-time.ts';

/** How often a response of the provider contains no lifetimes. */
const LIFETIMES_OMITTED = 0.02;
const STARTS_AT = Date.UTC(2026, 0, 1);

/** Runs one implementation through the events that the seed determines. */
export async function runSimulation(
  size: RunSize,
  hasGracePeriod: boolean,
  open: (environment: Environment) => Implementation | Promise<Implementation>,
  schedule = scheduleEvents,
): Promise<Recorder> {
  const time = new VirtualTime(STARTS_AT);
  const random = new Random(size.seed);
  const rotation = random.fork('rotation');
  const omitted = random.fork('lifetimes');
  const isCounted = (event: string) => {
    recorder.count(event);
    return true;
  };
  const provider = new Provider({
    now: () => time.now,
    rotationIntervalMs: () => rotation.uniform(20 * HOUR, 28 * HOUR),
    omitsLifetimes: () => omitted.chance(LIFETIMES_OMITTED) && isCounted('responses without lifetimes'),
    hasGracePeriod,
  });
  const faults = new FaultInjector(time, {
    crash: (replica) => cluster.crash(replica),
    lag: (milliseconds) => cluster.lagRandomNode(milliseconds),
  });
  const recorder = new Recorder({
    time,
    provider,
    read: (organizationId) => implementation.read(organizationId),
    longestServiceSince: (instant) => faults.longestServiceSince(instant),
    onChange: (organizationId, isConnected) => customers[Number(organizationId) - 1]?.onConnectionChange(isConnected),
  });
  const implementation = await open({ time, random: random.fork('network'), faults, provider, recorder });
  const cluster = new Cluster({ time, random: random.fork('cluster'), implementation, replicas: size.replicas });
  const customers = Array.from({ length: size.connections }, (_, index) => {
    const organizationId = String(index + 1);
    return new Customer({ organizationId, time, random: random.fork(`user ${index}`), cluster, provider, recorder });
  });

  try {
    schedule(size, { time, random, faults, cluster, customers, recorder });
    await time.run(STARTS_AT + size.days * DAY);
    for (const customer of customers) await customer.finish();
    cluster.endAll();
    return recorder;
  } finally {
    await implementation.close();
  }
}
