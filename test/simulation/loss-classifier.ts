import type { LossReason } from '../../src/models/connection.ts';
import type { StoredConnection } from './implementation.ts';
import type { Provider } from './provider.ts';
import type { NewestTokenState, TokenFamily } from './token-family.ts';
import { MINUTE } from './virtual-time.ts';

/** The causes of losses that no client can avoid. */
export const UNAVOIDABLE_CAUSES = [
  'revoked in QuickBooks',
  'five-year limit',
  'response lost after the rotation',
  'process ended before the save',
  'partitioned from the database before the save',
  'process paused for longer than the lease before the save',
  'node lagged for longer than the lease before the save',
  'new consent that could not be stored',
  'rejected falsely until the user connected again',
] as const;

/** Why a connection was lost, by the provider's own state. */
export type Cause = (typeof UNAVOIDABLE_CAUSES)[number] | 'avoidable';

export interface Classification {
  cause: Cause;
  /** True if the provider still accepts the stored refresh token. */
  isAlive: boolean;
  /** The reasons that are correct. */
  expectedReasons: LossReason[];
  explanation: string;
}

/** A process whose clock is ahead ends a connection a little early. */
const MAX_CLOCK_SKEW_MS = 10 * MINUTE;

const CAUSES: Record<NewestTokenState, Cause> = {
  response_lost: 'response lost after the rotation',
  process_ended: 'process ended before the save',
  partitioned: 'partitioned from the database before the save',
  paused: 'process paused for longer than the lease before the save',
  lagging: 'node lagged for longer than the lease before the save',
  held: 'avoidable',
};

/** The process that has the newest token continues, and saves it too late. */
const TEMPORARY: readonly NewestTokenState[] = ['paused', 'lagging', 'partitioned'];

/** Classifies a loss by the provider's state, not by what the client knows. */
export function classifyLoss(provider: Provider, stored: StoredConnection, now: number): Classification {
  const family = provider.familyOf(stored.refreshToken);
  const cause = family ? causeOf(provider, family, { stored, now }) : 'avoidable';
  const newestToken = family?.end?.newestToken ?? (family && provider.newestTokenState(family));
  const state = family?.end ? `the grant ended: ${family.end.reason}` : 'the grant is alive';
  return {
    cause,
    isAlive: provider.acceptsRefreshToken(stored.refreshToken),
    expectedReasons: expectedReasons(cause, family, stored),
    explanation: `${state}; stored ${stored.refreshToken}, newest ${family?.refreshToken} (${newestToken})`,
  };
}

function causeOf(
  provider: Provider,
  family: TokenFamily,
  { stored, now }: { stored: StoredConnection; now: number },
): Cause {
  if (now > family.authorizationEndsAt - MAX_CLOCK_SKEW_MS && !family.end) return 'five-year limit';
  const reason = provider.endOf(family)?.reason;
  switch (reason) {
    case 'revoked in QuickBooks':
    case 'five-year limit':
      return reason;
    case 'new consent':
      return 'new consent that could not be stored';
    case 'unused':
    case 'revoked by the client':
      return 'avoidable';
    default:
      return causeOfReuse(provider, family, stored);
  }
}

/** A replaced refresh token was sent, or a valid one was rejected. */
function causeOfReuse(provider: Provider, family: TokenFamily, stored: StoredConnection): Cause {
  const newestToken = family.end?.newestToken ?? provider.newestTokenState(family);
  // It may have been saved since, too late.
  if (TEMPORARY.includes(newestToken)) return CAUSES[newestToken];
  const isStored = stored.refreshToken === family.refreshToken || provider.acceptsRefreshToken(stored.refreshToken);
  // With a grace period, the replaced token would have been accepted for a day.
  return isStored || provider.hasGracePeriod ? 'avoidable' : CAUSES[newestToken];
}

/** A revocation after a refresh of unknown outcome cannot be distinguished from a lost rotation. */
function expectedReasons(cause: Cause, family: TokenFamily | undefined, stored: StoredConnection): LossReason[] {
  if (cause === 'five-year limit') {
    // Without the lifetimes only the provider's rejection shows that the authorization has ended.
    const isUnknown = family?.areLifetimesUnknown;
    return isUnknown ? ['refresh_token_expired', 'authorization_revoked', 'rotation_lost'] : ['refresh_token_expired'];
  }
  if (cause === 'revoked in QuickBooks' || cause === 'new consent that could not be stored') {
    const isUnclear = family?.hasUnknownOutcome || stored.accessToken !== family?.accessToken;
    return isUnclear ? ['authorization_revoked', 'rotation_lost'] : ['authorization_revoked'];
  }
  // If it was saved just when the old token was rejected, nothing explains the rejection of the new one.
  const isSaved = stored.refreshToken === family?.refreshToken;
  return isSaved ? ['authorization_revoked', 'rotation_lost'] : ['rotation_lost'];
}
