import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { within } from '../../src/utils/with-timeout.ts';

const late = new Error('late');
const makeLate = () => late;
const never = new Promise<never>(() => undefined);

describe('within a time', () => {
  const unhandled = jest.fn();
  beforeEach(() => void process.on('unhandledRejection', unhandled));
  afterEach(() => {
    process.off('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
  });

  it('answers what the promise answers', async () => {
    expect(await within(1_000, Promise.resolve('in time'), makeLate)).toBe('in time');
  });

  it('fails as the promise fails', async () => {
    const failure = new Error('its own');
    await expect(within(1_000, Promise.reject(failure), makeLate)).rejects.toBe(failure);
  });

  it('throws the given error when the time is over', async () => {
    await expect(within(5, never, makeLate)).rejects.toBe(late);
  });

  it('leaves no timer behind that would keep the process alive', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = timers();
    await within(60_000, Promise.resolve(), makeLate);
    expect(timers()).toBe(before);
  });

  it('lets a promise fail later without anybody minding', async () => {
    let fail = (_: Error): void => undefined;
    const slow = new Promise<void>((_, reject) => {
      fail = reject;
    });
    await expect(within(5, slow, makeLate)).rejects.toBe(late);
    fail(new Error('long after'));
    await new Promise(setImmediate);
  });
});
