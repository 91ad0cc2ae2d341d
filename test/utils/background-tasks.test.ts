import { describe, expect, it } from '@jest/globals';
import { InFlight } from '../../src/utils/background-tasks.ts';

describe('work in flight', () => {
  it('answers what the work answers, and fails as it fails', async () => {
    const inFlight = new InFlight();
    expect(await inFlight.track(Promise.resolve(7))).toBe(7);
    await expect(inFlight.track(Promise.reject(new Error('no')))).rejects.toThrow('no');
  });

  it('is settled when nothing runs', async () => {
    await expect(new InFlight().settled()).resolves.toBeUndefined();
  });

  it('is settled when the last work ended, well or badly, also one begun meanwhile', async () => {
    const inFlight = new InFlight();
    const ended: string[] = [];
    let finish = (): void => undefined;
    let fail = (): void => undefined;
    const first = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const second = new Promise<void>((_, reject) => {
      fail = () => reject(new Error('no'));
    });
    const tracked = inFlight.track(first.then(() => ended.push('first')));
    const settled = inFlight.settled().then(() => ended.push('settled'));

    const later = inFlight.track(second).catch(() => ended.push('second'));
    finish();
    await tracked;
    expect(ended).toEqual(['first']);
    fail();
    await Promise.all([later, settled]);
    expect(ended).toEqual(['first', 'second', 'settled']);
  });
});
