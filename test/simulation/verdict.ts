import type { Stored } from './handler.ts';
import type { Family, Provider, Whereabouts } from './provider.ts';
import { MINUTE } from './virtual-time.ts';

/** What a loss came from, by the provider's truth. All but the last could not be avoided. */
export const CAUSES = [
  'revoked in QuickBooks',
  'five-year end',
  'answer lost after the rotation',
  'process ended before the save',
  'cut off from the database before the save',
  'new consent that could not be stored',
  'could have been kept',
] as const;

export type Cause = (typeof CAUSES)[number];

/** A loss, judged. */
export interface Verdict {
  cause: Cause;
  /** True where the provider would still take what is stored. */
  isAlive: boolean;
  /** The reasons that tell it rightly. */
  rightReasons: string[];
  explanation: string;
}

/** A clock that is ahead ends a connection a little early. */
const CLOCKS_APART_MS = 10 * MINUTE;

const BY_WHEREABOUTS: Record<Whereabouts, Cause> = {
  'answer lost': 'answer lost after the rotation',
  'process ended': 'process ended before the save',
  'cut off': 'cut off from the database before the save',
  held: 'could have been kept',
};

/** Whether the connection that was just given up could have been kept: not by what the handler says, but by what was so. */
export function judge(provider: Provider, stored: Stored, now: number): Verdict {
  const family = provider.familyOf(stored.refreshToken);
  const cause = family ? causeOf(provider, family, stored, now) : 'could have been kept';
  const isAlive = provider.accepts(stored.refreshToken);
  const end = family?.ended ? `the family ended by ${family.ended.why}` : 'the family is alive';
  const newest = family?.ended?.newest ?? (family && provider.whereabouts(family));
  const explanation = `${end}; stored ${stored.refreshToken}, newest ${family?.token} (${newest})`;
  return { cause, isAlive, rightReasons: rightReasons(cause, family, stored), explanation };
}

function causeOf(provider: Provider, family: Family, stored: Stored, now: number): Cause {
  if (now > family.hardEnd - CLOCKS_APART_MS && !family.ended) return 'five-year end';
  switch (provider.endOf(family)?.why) {
    case 'revoked in QuickBooks':
    case 'five-year end':
      return family.ended?.why as Cause;
    case 'new consent':
      return 'new consent that could not be stored';
    case 'unused':
    case 'revoked by us':
      return 'could have been kept';
    default:
      return causeOfReuse(provider, family, stored);
  }
}

/** A token that was replaced was sent, or a good one was refused. */
function causeOfReuse(provider: Provider, family: Family, stored: Stored): Cause {
  const newest = family.ended?.newest ?? provider.whereabouts(family);
  if (newest === 'cut off') return BY_WHEREABOUTS[newest]; // perhaps it was saved since, too late
  if (stored.refreshToken === family.token || provider.accepts(stored.refreshToken)) return 'could have been kept';
  if (provider.hasGrace) return 'could have been kept'; // the old token would have been taken for a day
  return BY_WHEREABOUTS[newest];
}

/** What the service can know: a revocation that meets a refresh of unknown outcome looks like a lost rotation. */
function rightReasons(cause: Cause, family: Family | undefined, stored: Stored): string[] {
  if (cause === 'five-year end') return ['refresh_token_expired'];
  const either = ['authorization_revoked', 'rotation_lost'];
  if (cause === 'revoked in QuickBooks' || cause === 'new consent that could not be stored') {
    const isUnclear = family?.hasUnknownOutcome || stored.accessToken !== family?.accessToken;
    return isUnclear ? either : ['authorization_revoked'];
  }
  // Saved in the very moment in which the old token was refused: the refusal of the new one has no history.
  return stored.refreshToken === family?.token ? either : ['rotation_lost'];
}
