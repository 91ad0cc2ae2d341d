import { describe, expect, it } from '@jest/globals';
import { SingleFlight } from '../../src/utils/single-flight.ts';

describe('SingleFlight', () => {
  it('runs the work once for all callers that arrive while it is running', async () => {
    const { flights, work, runs, finish } = prepare();
    const results = Array.from({ length: 20 }, () => flights.run('a', work));
    finish();
    expect(await Promise.all(results)).toEqual(Array(20).fill(1));
    expect(runs()).toBe(1);
  });

  it('runs the work of each key separately', async () => {
    const { flights, work, finish } = prepare();
    const results = [flights.run('a', work), flights.run('b', work)];
    finish();
    expect(await Promise.all(results)).toEqual([1, 2]);
  });

  it('runs the work again after it has ended', async () => {
    const { flights, work, finish } = prepare();
    finish();
    expect([await flights.run('a', work), await flights.run('a', work)]).toEqual([1, 2]);
  });

  it('rejects for every caller if the work fails, and runs it again for the next one', async () => {
    const { flights, work, finish } = prepare();
    const failing = async () => Promise.reject(new Error('no'));
    const failed = await Promise.allSettled([flights.run('a', failing), flights.run('a', failing)]);
    expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    finish();
    expect(await flights.run('a', work)).toBe(1);
  });
});

/** Work that counts its runs, and ends once it may finish. */
function prepare() {
  let runs = 0;
  let finish = (): void => undefined;
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const work = async () => {
    runs += 1;
    const run = runs;
    await finished;
    return run;
  };
  return { flights: new SingleFlight<number>(), work, runs: () => runs, finish: () => finish() };
}
