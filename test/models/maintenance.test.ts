import { describe, expect, it } from '@jest/globals';
import type { Connection } from '../../src/models/connection.ts';
import * as care from '../../src/models/maintenance.ts';

const DAYS = 86_400_000;
const now = new Date('2026-02-10T14:00:00.000Z');
const inDays = (days: number) => new Date(now.getTime() + days * DAYS);
const connection = (changes: object) =>
  ({
    care: { nextAt: now, recoveries: 0, isExpiringTold: false },
    refresh: { startedAt: undefined },
    ...changes,
  }) as Connection;

describe('an active connection', () => {
  it.each([
    [14.001, false],
    [14, true],
    [0, true],
    [-1, true],
  ])('with %d days left to its refresh token needs to be kept alive: %s', (days, expected) => {
    expect(care.needsKeepAlive(connection({ refreshTokenExpiresAt: inDays(days) }), now)).toBe(expected);
  });

  it('is kept alive at once where the outcome of a refresh is unknown', () => {
    const unknown = { refreshTokenExpiresAt: inDays(90), refresh: { startedAt: now } };
    expect(care.needsKeepAlive(connection(unknown), now)).toBe(true);
  });

  it.each([
    [30.001, false],
    [30, true],
    [0.001, true],
    [0, false],
    [undefined, false],
  ])('with %s days left of the five years has to be told: %s', (days, expected) => {
    const refreshTokenHardExpiresAt = days === undefined ? undefined : inDays(days);
    expect(care.needsTelling(connection({ refreshTokenHardExpiresAt }), now)).toBe(expected);
    const told = { nextAt: now, recoveries: 0, isExpiringTold: true };
    expect(care.needsTelling(connection({ refreshTokenHardExpiresAt, care: told }), now)).toBe(false);
  });

  it.each([
    ['14 days before its refresh token ends', { own: 100, hard: 1800 }, 86],
    ['30 days before the five-year end, where that is sooner', { own: 100, hard: 100 }, 70],
    ['14 days before its end, where that of the five years was told', { own: 100, hard: 100, told: true }, 86],
    ['a day from now, where the end is near', { own: 10, hard: 10, told: true }, 1],
    ['a day from now, where the end is past', { own: -3, told: true }, 1],
    ['in a minute, where its company has no name yet', { own: 100, companyName: undefined }, 1 / 1440],
  ])('is looked at %s', (_, { own, hard, told = false, ...named }: Dates, days) => {
    const facts = {
      companyName: 'Acme',
      ...named,
      refreshTokenExpiresAt: inDays(own),
      refreshTokenHardExpiresAt: hard === undefined ? undefined : inDays(hard),
    };
    expect(care.nextCareOfActive(facts, told, now)).toEqual(inDays(days));
  });
});

interface Dates {
  own: number;
  hard?: number;
  told?: boolean;
  companyName?: undefined;
}

describe('a lost connection', () => {
  it.each([
    [0, 10],
    [1, 60],
    [2, 360],
    [3, 1440],
    [4, 30 * 1440],
  ])('refused %d times is tried again, or forgotten, so many minutes after the loss: %d', (recoveries, minutes) => {
    const next = care.nextCareOfLost('authorization_revoked', now, recoveries, now);
    expect(next).toEqual(new Date(now.getTime() + minutes * 60_000));
  });

  it('whose tries came late keeps the distance between them', () => {
    expect(care.nextCareOfLost('rotation_lost', now, 2, inDays(7))).toEqual(inDays(7 + 5 / 24));
    expect(care.nextCareOfLost('rotation_lost', now, 4, inDays(7))).toEqual(inDays(30));
  });

  it('that ran out is never tried, and forgotten after 30 days', () => {
    expect(care.nextCareOfLost('refresh_token_expired', now, 0, now)).toEqual(inDays(30));
    const lost = connection({ lossReason: 'refresh_token_expired', refreshTokenExpiresAt: inDays(9) });
    expect(care.isRecoverable(lost, now)).toBe(false);
  });

  it('may be alive while tries are left and its refresh token has time left', () => {
    const lost = { lossReason: 'authorization_revoked', refreshTokenExpiresAt: inDays(9) };
    expect(care.isRecoverable(connection(lost), now)).toBe(true);
    expect(care.isRecoverable(connection({ ...lost, refreshTokenExpiresAt: now }), now)).toBe(false);
    const tried = { nextAt: now, recoveries: 4, isExpiringTold: false };
    expect(care.isRecoverable(connection({ ...lost, care: tried }), now)).toBe(false);
  });

  it('is forgotten at 30 days, not before', () => {
    expect(care.isForgotten(connection({ deactivatedAt: inDays(-29.999) }), now)).toBe(false);
    expect(care.isForgotten(connection({ deactivatedAt: inDays(-30) }), now)).toBe(true);
  });
});
