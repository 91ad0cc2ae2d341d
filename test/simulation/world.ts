import { Conditions } from './conditions.ts';
import { Customer } from './customer.ts';
import { Fleet } from './fleet.ts';
import type { Handler, Surroundings } from './handler.ts';
import { Ledger } from './ledger.ts';
import { Provider } from './provider.ts';
import { Random } from './random.ts';
import { plan, type Size } from './script.ts';
import { DAY, HOUR, VirtualTime } from './virtual-time.ts';

const BEGIN = Date.UTC(2026, 0, 1);

/** Plays the script of a seed with one handler, from its beginning to its end. */
export async function play(
  size: Size,
  hasGrace: boolean,
  open: (surroundings: Surroundings) => Handler | Promise<Handler>,
): Promise<Ledger> {
  const time = new VirtualTime(BEGIN);
  const random = new Random(size.seed);
  const rotation = random.fork('rotation');
  const provider = new Provider(
    () => time.now,
    () => rotation.between(20 * HOUR, 28 * HOUR),
    hasGrace,
  );
  const conditions = new Conditions(time, (replica) => fleet.crash(replica));
  const ledger = new Ledger(time, provider, (organizationId) => handler.read(organizationId));
  const handler = await open({ time, random: random.fork('ways'), conditions, provider, ledger });
  const fleet = new Fleet(time, random.fork('fleet'), handler, size.replicas);
  const customers = Array.from({ length: size.connections }, (_, index) => {
    const organizationId = String(index + 1);
    return new Customer(organizationId, time, random.fork(`person ${index}`), fleet, provider, ledger);
  });
  ledger.onChange = (organizationId, isConnected) => customers[Number(organizationId) - 1]?.change(isConnected);

  const restore = [time.install(), seedMathRandom(random.fork('Math.random'))];
  try {
    plan(size, time, random, conditions, fleet, customers);
    await time.run(BEGIN + size.days * DAY);
    for (const customer of customers) await customer.finish();
    fleet.endAll();
    return ledger;
  } finally {
    for (const undo of restore) undo();
    await handler.close();
  }
}

/** Jitter comes from the seed as well. */
function seedMathRandom(random: Random): () => void {
  const real = Math.random;
  Math.random = () => random.next();
  return () => {
    Math.random = real;
  };
}
