import { describe, expect, it } from '@jest/globals';
import { BatchedRead } from '../../src/utils/batched-read.ts';
import { systemClock } from '../../src/utils/clock.ts';

describe('BatchedRead', () => {
  it('reads what one iteration of the event loop asks for at once, each key once', async () => {
    const { reads, loads } = prepare();
    const values = ['a', 'b', 'a', 'missing'].map((key) => reads.read(key));
    expect(await Promise.all(values)).toEqual(['A1', 'B1', 'A1', undefined]);
    expect(loads).toEqual([['a', 'b', 'missing']]);
  });

  it('includes reads that began after others in the same iteration', async () => {
    const { reads, loads } = prepare();
    const first = reads.read('a');
    await Promise.resolve();
    expect(await Promise.all([first, reads.read('b')])).toEqual(['A1', 'B1']);
    expect(loads).toHaveLength(1);
  });

  it('never returns what was read before the call', async () => {
    const { reads, loads, finish } = prepare({ isHeld: true });
    const first = reads.read('a');
    while (loads.length === 0) await systemClock.nextTurn();
    const second = reads.read('a');
    finish();
    expect(await Promise.all([first, second])).toEqual(['A1', 'A2']);
  });

  it('rejects every read of a batch with its error, and no read of the next', async () => {
    const { reads, failNext } = prepare();
    failNext(new Error('no'));
    const results = await Promise.allSettled([reads.read('a'), reads.read('b'), reads.read('a')]);
    expect(results).toEqual(Array(3).fill({ status: 'rejected', reason: new Error('no') }));
    expect(await reads.read('a')).toBe('A2');
  });
});

/** Values that contain the number of their load. A held load ends once it may finish. */
function prepare({ isHeld = false } = {}) {
  const loads: string[][] = [];
  let failure: Error | undefined;
  let finish = (): void => undefined;
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const reads = new BatchedRead<string, string>(systemClock, async (keys) => {
    const load = loads.push(keys);
    const error = failure;
    failure = undefined;
    if (isHeld) await finished;
    if (error) throw error;
    return new Map(keys.filter((key) => key !== 'missing').map((key) => [key, `${key.toUpperCase()}${load}`]));
  });
  const failNext = (error: Error) => {
    failure = error;
  };
  return { reads, loads, finish: () => finish(), failNext };
}
