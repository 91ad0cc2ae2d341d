import { beforeEach, describe, expect, it } from '@jest/globals';
import { RefreshCooldown } from '../../src/services/refresh-cooldown.ts';
import { TestClock } from '../support/test-clock.ts';

describe('a refresh cooldown', () => {
  let clock: TestClock;
  let cooldown: RefreshCooldown;
  beforeEach(() => {
    clock = new TestClock();
    cooldown = new RefreshCooldown(clock);
  });

  it('is not active before it was started', () => {
    expect(cooldown.isActive('quickbooks')).toBe(false);
  });

  it('is active for its own key until its time has elapsed', () => {
    cooldown.start('quickbooks', 60_000);
    clock.advance(59_000);
    expect([cooldown.isActive('quickbooks'), cooldown.isActive('a token')]).toEqual([true, false]);
    clock.advance(1_000);
    expect(cooldown.isActive('quickbooks')).toBe(false);
  });

  it('begins again if it is started again', () => {
    cooldown.start('quickbooks', 60_000);
    clock.advance(59_000);
    cooldown.start('quickbooks', 60_000);
    clock.advance(59_000);
    expect(cooldown.isActive('quickbooks')).toBe(true);
    clock.advance(1_000);
    expect(cooldown.isActive('quickbooks')).toBe(false);
  });

  it('is not affected by an adjustment of the wall clock', () => {
    cooldown.start('quickbooks', 60_000);
    clock.setWallClock(new Date('2040-01-01T00:00:00.000Z'));
    expect(cooldown.isActive('quickbooks')).toBe(true);
    clock.advance(60_000);
    clock.setWallClock(new Date('2000-01-01T00:00:00.000Z'));
    expect(cooldown.isActive('quickbooks')).toBe(false);
  });
});
