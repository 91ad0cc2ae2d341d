import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { systemClock } from '../../src/utils/clock.ts';
import { withTimeout } from '../../src/utils/with-timeout.ts';
import { TestClock } from '../support/test-clock.ts';

const late = new Error('late');
const never = new Promise<never>(() => undefined);

describe('withTimeout', () => {
  const unhandled = jest.fn();
  let clock: TestClock;
  const options = () => ({ clock, timeoutMs: 60_000, onTimeout: () => late });

  beforeEach(() => {
    clock = new TestClock();
    process.on('unhandledRejection', unhandled);
  });
  afterEach(() => {
    process.off('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
  });

  it('resolves as the promise does', async () => {
    expect(await withTimeout(Promise.resolve('in time'), options())).toBe('in time');
  });

  it('rejects as the promise does', async () => {
    const failure = new Error('its own');
    await expect(withTimeout(Promise.reject(failure), options())).rejects.toBe(failure);
  });

  it('rejects with the given error after the timeout', async () => {
    const limited = expect(withTimeout(never, options())).rejects.toBe(late);
    clock.advance(60_000);
    await limited;
  });

  it('waits until the timeout', async () => {
    const { promise, resolve } = controlled<string>();
    const limited = withTimeout(promise, options());
    clock.advance(59_000);
    resolve('in time');
    expect(await limited).toBe('in time');
  });

  it('resolves with a result that arrives in the same turn as the timeout', async () => {
    // as after a pause of the whole process: the timer fires first, although the response is there already
    const { promise, resolve } = controlled<string>();
    const limited = withTimeout(promise, {
      ...options(),
      clock: { ...systemClock, nextTurn: async () => resolve('in time') },
      timeoutMs: 0,
    });
    expect(await limited).toBe('in time');
  });

  it('leaves no timer that would keep the process alive', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = timers();
    await withTimeout(Promise.resolve(), { ...options(), clock: systemClock });
    expect(timers()).toBe(before);
  });

  it('ignores a promise that rejects after the timeout', async () => {
    const { promise, reject } = controlled();
    const limited = expect(withTimeout(promise, options())).rejects.toBe(late);
    clock.advance(60_000);
    await limited;
    reject(new Error('long after'));
    await new Promise(setImmediate);
  });
});

/** A promise that a test resolves or rejects. */
function controlled<T = void>() {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((...functions) => {
    [resolve, reject] = functions;
  });
  return { promise, resolve, reject };
}
