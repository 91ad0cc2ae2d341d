import { describe, expect, it } from '@jest/globals';
import { SingleFlight } from '../../src/utils/single-flight.ts';

describe('a single flight', () => {
  it('is shared by all who ask while it runs', async () => {
    const { flights, start, runs, finish } = prepare();
    const all = Array.from({ length: 20 }, () => flights.run('a', start));
    finish();
    expect(await Promise.all(all)).toEqual(Array(20).fill(1));
    expect(runs()).toBe(1);
  });

  it('is not shared between keys', async () => {
    const { flights, start, finish } = prepare();
    const both = [flights.run('a', start), flights.run('b', start)];
    finish();
    expect(await Promise.all(both)).toEqual([1, 2]);
  });

  it('is followed by another one once it ended', async () => {
    const { flights, start, finish } = prepare();
    finish();
    expect([await flights.run('a', start), await flights.run('a', start)]).toEqual([1, 2]);
  });

  it('fails for all who share it, and the next is a new try', async () => {
    const { flights, start, finish } = prepare();
    const failing = async () => Promise.reject(new Error('no'));
    const failed = await Promise.allSettled([flights.run('a', failing), flights.run('a', failing)]);
    expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    finish();
    expect(await flights.run('a', start)).toBe(1);
  });
});

/** Flights, and work that counts its runs and lasts until it may finish. */
function prepare() {
  let runs = 0;
  let finish = (): void => undefined;
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const start = async () => {
    runs += 1;
    const run = runs;
    await finished;
    return run;
  };
  return { flights: new SingleFlight<number>(), start, runs: () => runs, finish: () => finish() };
}
