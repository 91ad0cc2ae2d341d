import { describe, expect, it } from '@jest/globals';
import type {
  ActiveConnection,
  Ciphertext,
  EncryptedTokens,
  LossReason,
  LostConnection,
  OrganizationId,
  RealmId,
} from '../../src/models/connection.ts';
import {
  dueExpiryNotice,
  isRecoverable,
  type MaintenancePolicy,
  needsCompanyName,
  needsKeepAlive,
  needsVerification,
  nextMaintenanceAt,
  nextPurgeAt,
  purgeAt,
} from '../../src/models/maintenance.ts';

const SECONDS = 1_000;
const MINUTES = 60 * SECONDS;
const DAYS = 24 * 60 * MINUTES;
const NOW = new Date('2026-02-10T14:00:00.000Z');
const POLICY: MaintenancePolicy = {
  keepAliveMs: 14 * DAYS,
  expiryNoticesMs: [30 * DAYS, 7 * DAYS],
  verifyIdleMs: undefined,
};
const OTHER_POLICY: MaintenancePolicy = { ...POLICY, keepAliveMs: 5 * DAYS, expiryNoticesMs: [7 * DAYS] };

interface ActiveCase {
  /** Days until the refresh token expires. */
  refreshToken?: number;
  /** Days until the authorization ends. */
  authorization?: number;
  isNotified?: true;
  isUnproven?: true;
  /** A verification was requested after the last one. */
  isVerificationRequested?: true;

  isOutcomeUnknown?: true;
  /** Days since its company's name was read; by default, it was read now. */
  nameAge?: number;
  policy?: MaintenancePolicy;
}

describe('the next maintenance of an active connection', () => {
  it.each<[string, ActiveCase, number]>([
    [
      'after a minute if a verification was requested since the last one',
      { isVerificationRequested: true },
      1 * MINUTES,
    ],
    ['14 days before its refresh token expires', { refreshToken: 100, authorization: 1_800 }, 86 * DAYS],
    ['14 days before its refresh token expires if the end of its authorization is unknown', {}, 86 * DAYS],
    ['30 days before its authorization ends if that is earlier', { authorization: 100 }, 70 * DAYS],
    ['30 days before its authorization ends even if that is past', { authorization: 10 }, -20 * DAYS],
    ['without a notice once its authorization has ended', { authorization: -1 }, 86 * DAYS],
    [
      '7 days before its authorization ends once the user was notified',
      { authorization: 20, isNotified: true, refreshToken: 90 },
      13 * DAYS,
    ],
    [
      '14 days before its refresh token expires once the user was notified',
      { authorization: 1_000, isNotified: true },
      86 * DAYS,
    ],
    ['after a day if its refresh token expires soon', { refreshToken: 10 }, 1 * DAYS],
    ['after a day if its refresh token expired', { refreshToken: -3 }, 1 * DAYS],
    [
      'after a day if its authorization ends soon and the user was notified',
      { refreshToken: 10, authorization: 10, isNotified: true },
      1 * DAYS,
    ],
    ['after a minute if its company is unproven', { isUnproven: true }, 1 * MINUTES],
    [
      'a day after Intuit last accepted it if that is earlier',
      { policy: { ...POLICY, verifyIdleMs: 1 * DAYS } },
      1 * DAYS,
    ],
    [
      '7 days after its company’s name was read, however often it is used',
      { nameAge: 6.5, policy: { ...POLICY, verifyIdleMs: 1 * DAYS } },
      0.5 * DAYS,
    ],
    ['now if its company’s name was read 8 days ago', { nameAge: 8, policy: { ...POLICY, verifyIdleMs: 1 * DAYS } }, 0],
    ['never to read its company’s name if verification is disabled', { nameAge: 8 }, 86 * DAYS],
    ['after 90 seconds if the outcome of a refresh is unknown', { isOutcomeUnknown: true }, 90 * SECONDS],
    ['at the earliest of these', { isOutcomeUnknown: true, isUnproven: true, authorization: 100 }, 1 * MINUTES],
    ['by the lifetimes of its provider: keep-alive', { refreshToken: 30, policy: OTHER_POLICY }, 25 * DAYS],
    [
      'by the lifetimes of its provider: expiry notice',
      { refreshToken: 30, authorization: 30, policy: OTHER_POLICY },
      23 * DAYS,
    ],
  ])('is due %s', (_, { policy = POLICY, ...facts }, milliseconds) => {
    expect(nextMaintenanceAt(active(facts), NOW, policy)).toEqual(fromNow(milliseconds));
  });

  it('is due by the same rules for a connection that is not stored yet', () => {
    const { tokens } = active({});
    expect(nextMaintenanceAt({ state: 'active', lastVerifiedAt: NOW, tokens }, NOW, POLICY)).toEqual(
      fromNow(86 * DAYS),
    );
  });
});

describe('the next maintenance of a lost connection', () => {
  it.each<[string, { attempts?: number; reason?: LossReason; lateBy?: number }, number]>([
    ['10 minutes after the loss', {}, 10 * MINUTES],
    ['1 hour after the loss if 1 recovery was rejected', { attempts: 1 }, 60 * MINUTES],
    ['6 hours after the loss if 2 recoveries were rejected', { attempts: 2 }, 360 * MINUTES],
    ['24 hours after the loss if 3 recoveries were rejected', { attempts: 3 }, 1 * DAYS],
    ['30 days after the loss, to be purged, if 4 recoveries were rejected', { attempts: 4 }, 30 * DAYS],
    [
      '30 days after the loss, to be purged, if its refresh token expired',
      { reason: 'refresh_token_expired' },
      30 * DAYS,
    ],
    [
      '2.5 hours after a second recovery that came a week late',
      { attempts: 2, lateBy: 7 * DAYS },
      7 * DAYS + 150 * MINUTES,
    ],
    [
      // before the end of a day's grace period that began with the first recovery, whose response was lost
      '24 hours after the loss although the third recovery came late',
      { attempts: 3, lateBy: 400 * MINUTES },
      1 * DAYS,
    ],
    [
      '30 days after the loss although the last recovery came a week late',
      { attempts: 4, lateBy: 7 * DAYS },
      30 * DAYS,
    ],
  ])('is due %s', (_, { attempts = 0, reason = 'rotation_lost', lateBy = 0 }, milliseconds) => {
    expect(nextMaintenanceAt(lost({ attempts, reason }), fromNow(lateBy), POLICY)).toEqual(fromNow(milliseconds));
  });
});

describe('an active connection', () => {
  it.each([
    ['is not refreshed to keep it alive with 14 days and a bit left', 14.001, false],
    ['is refreshed to keep it alive with 14 days left', 14, true],
    ['is refreshed to keep it alive with nothing left', 0, true],
    ['is refreshed to keep it alive after its refresh token expired', -1, true],
  ])('%s', (_, refreshToken, expected) => {
    expect(needsKeepAlive(active({ refreshToken }), NOW, POLICY)).toBe(expected);
  });

  it('is refreshed to keep it alive if the outcome of a refresh is unknown', () => {
    expect(needsKeepAlive(active({ refreshToken: 90, isOutcomeUnknown: true }), NOW, POLICY)).toBe(true);
  });

  it.each<[string, number | undefined, number | undefined]>([
    ['needs no expiry notice with 30 days and a bit left', 30.001, undefined],
    ['needs the first expiry notice with 30 days left', 30, 30],
    ['needs only the second expiry notice with 7 days left', 7, 7],
    ['needs the second expiry notice shortly before the end', 0.001, 7],
    ['needs no expiry notice at the end', 0, undefined],
    ['needs no expiry notice if the end is unknown', undefined, undefined],
  ])('%s', (_, authorization, days) => {
    const facts = authorization === undefined ? {} : { authorization };
    expect(dueExpiryNotice(active(facts), NOW, POLICY)).toBe(days && days * DAYS);
    expect(dueExpiryNotice(active({ ...facts, isNotified: true }), NOW, POLICY)).toBeUndefined();
  });

  it('needs the second expiry notice although the user was notified at the first', () => {
    const notified = active({ authorization: 30, isNotified: true });
    expect(dueExpiryNotice(notified, fromNow(22 * DAYS), POLICY)).toBeUndefined();
    expect(dueExpiryNotice(notified, fromNow(23 * DAYS), POLICY)).toBe(7 * DAYS);
  });

  it('needs no notice a second time if a refresh moves the end of its authorization by seconds', () => {
    const notified = active({ authorization: 30, isNotified: true });
    const moved = { ...notified, tokens: tokens(100, 30 + 2 / 86_400) };
    expect(dueExpiryNotice(moved, fromNow(2 * SECONDS), POLICY)).toBeUndefined();
    expect(nextMaintenanceAt(moved, NOW, POLICY)).toEqual(fromNow(23 * DAYS + 2 * SECONDS));
  });

  it('needs its company’s name a week after it was read', () => {
    const policy = { ...POLICY, verifyIdleMs: 1 * DAYS };
    expect(needsCompanyName(active({ nameAge: 6.999 }), NOW, policy)).toBe(false);
    expect(needsCompanyName(active({ nameAge: 7 }), NOW, policy)).toBe(true);
    expect(needsCompanyName(active({ nameAge: 7 }), NOW, POLICY)).toBe(false);
  });

  it('needs verification once Intuit has not accepted it for the configured time', () => {
    const policy = { ...POLICY, verifyIdleMs: 1 * DAYS };
    expect(needsVerification(active({}), fromNow(0.999 * DAYS), policy)).toBe(false);
    expect(needsVerification(active({}), fromNow(1 * DAYS), policy)).toBe(true);
    expect(needsVerification(active({}), fromNow(90 * DAYS), POLICY)).toBe(false);
    expect(needsVerification(active({ isUnproven: true }), NOW, POLICY)).toBe(true);
  });
});

describe('a lost connection', () => {
  it.each<[string, LostCase, boolean]>([
    ['is recoverable while attempts and time are left', { refreshToken: 9, attempts: 3 }, true],
    ['is not recoverable after 4 rejected recoveries', { refreshToken: 9, attempts: 4 }, false],
    ['is not recoverable once its refresh token expired', { refreshToken: 0 }, false],
    [
      'is recoverable if its refresh token has not expired, although a wrong clock ended it',
      { refreshToken: 9, reason: 'refresh_token_expired' },
      true,
    ],
    ['is recoverable after the assumed expiry of its refresh token', { refreshToken: -9, isAssumed: true }, true],
    ['is not recoverable without tokens', { isPurged: true }, false],
  ])('%s', (_, facts, expected) => {
    expect(isRecoverable(lost(facts), NOW)).toBe(expected);
  });

  it('is purged 30 days after its loss', () => {
    expect(purgeAt(lost({}))).toEqual(fromNow(30 * DAYS));
  });

  it('is looked at again an hour later if it is to be purged by one of two clocks only', () => {
    expect(nextPurgeAt(lost({}), fromNow(40 * DAYS))).toEqual(fromNow(40 * DAYS + 60 * MINUTES));
    expect(nextPurgeAt(lost({}), NOW)).toEqual(fromNow(30 * DAYS));
  });
});

interface LostCase {
  refreshToken?: number;
  /** Its refresh token's expiry is assumed. */
  isAssumed?: true;
  attempts?: number;
  reason?: LossReason;
  isPurged?: true;
}

function active(facts: Omit<ActiveCase, 'policy'>): ActiveConnection {
  const {
    refreshToken = 100,
    authorization,
    isNotified,
    isUnproven,
    isOutcomeUnknown,
    nameAge = 0,
    isVerificationRequested,
  } = facts;
  return {
    ...stored,
    state: 'active',
    lastVerifiedAt: isUnproven ? undefined : NOW,
    tokens: tokens(refreshToken, authorization),
    refresh: { ...stored.refresh, startedAt: isOutcomeUnknown && NOW },
    maintenance: {
      nextAt: NOW,
      recoveryAttempts: 0,
      expiryNotifiedAt: isNotified && NOW,
      companyReadAt: fromNow(-nameAge * DAYS),
      verificationRequestedAt: isVerificationRequested && fromNow(1),
    },
  };
}

/** Lost now. */
function lost({ refreshToken = 100, isAssumed, attempts = 0, reason = 'authorization_revoked', isPurged }: LostCase) {
  return {
    ...stored,
    state: 'lost',
    reason,
    lostAt: NOW,
    tokens: isPurged ? undefined : { ...tokens(refreshToken, undefined), isRefreshExpiryAssumed: isAssumed === true },
    maintenance: {
      nextAt: NOW,
      recoveryAttempts: attempts,
      expiryNotifiedAt: undefined,
      companyReadAt: undefined,
      verificationRequestedAt: undefined,
    },
  } satisfies LostConnection;
}

function tokens(refreshTokenDays: number, authorizationDays: number | undefined): EncryptedTokens {
  return {
    accessToken: 'encrypted access token' as Ciphertext,
    accessTokenExpiresAt: NOW,
    refreshToken: 'encrypted refresh token' as Ciphertext,
    refreshTokenExpiresAt: fromNow(refreshTokenDays * DAYS),
    isRefreshExpiryAssumed: false,
    authorizationExpiresAt: authorizationDays === undefined ? undefined : fromNow(authorizationDays * DAYS),
    digest: 'digest',
  };
}

function fromNow(milliseconds: number): Date {
  return new Date(NOW.getTime() + milliseconds);
}

const stored = {
  tokenId: '6e1c2f0a-3f5e-4f1e-9a2b-8a0f3c1d5e77',
  organizationId: 'acme' as OrganizationId,
  system: 'quickbooks',
  realmId: '1' as RealmId,
  companyName: 'Acme',
  generation: 0,
  lastRefreshedAt: undefined,
  lastVerifiedAt: undefined,
  refresh: { owner: undefined, takeoverOwner: undefined, startedAt: undefined, failures: 0, isFailing: false },
} as const;
