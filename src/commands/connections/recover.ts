import type { LostConnection, OrganizationId } from '../../models/connection.ts';
import { hasUsableToken } from '../../models/maintenance.ts';
import { earliestNow } from '../../utils/clock.ts';
import { CommandError } from '../command-error.ts';
import { keyOf, organizationArgument, type SystemOption, systemVerb } from './arguments.ts';
import { findConnection } from './find-connection.ts';
import { forEachConnection, type WorkOutcome } from './for-each-connection.ts';
import { plural, printLine } from './output.ts';
import { REFRESH_EXPLANATIONS, REFRESH_OUTCOMES, type RefreshFailure, toRefreshFailure } from './refresh-failure.ts';
import { type OperatorServices, withServices } from './resources.ts';

/** How one recovery ended, as the reason that it did not succeed; absent if it did. */
type Failure = 'rejected' | 'unrecoverable' | 'ended' | RefreshFailure;

const OUTCOMES: Record<Failure, WorkOutcome> = {
  rejected: 'done',
  unrecoverable: 'skipped',
  ended: 'done',
  ...REFRESH_OUTCOMES,
};

const EXPLANATIONS: Record<Failure, string> = {
  rejected: 'its refresh token is still rejected: the user must connect again',
  unrecoverable: 'its refresh token has expired or was deleted: the user must connect again',
  ended: 'it was disconnected or replaced meanwhile, see `events`',
  ...REFRESH_EXPLANATIONS,
};

/** `recover`: retries lost connections. */
export function recoverCommand() {
  return systemVerb('recover', 'Retries the lost connection of an organization, or all that are lost, now.')
    .addArgument(organizationArgument('[organization]', 'its ID; by default, all'))
    .action((organization: OrganizationId | undefined, options: SystemOption) =>
      withServices({ readsCompanies: false, system: options.system }, (services) =>
        organization ? recoverOne(services, organization, options) : recoverAll(services, options),
      ),
    );
}

async function recoverOne(services: OperatorServices, organization: OrganizationId, options: SystemOption) {
  const connection = await findConnection(services.tokens, keyOf(organization, options));
  if (connection.state === 'active') return printLine(`${organization} is not lost.`);
  const failure = await recover(services, connection);
  if (failure) throw new CommandError(`${organization} was not recovered: ${EXPLANATIONS[failure]}.`);
  printLine(`Recovered ${organization}.`);
}

async function recoverAll(services: OperatorServices, { system }: SystemOption): Promise<void> {
  const failures = { rejected: 0, unrecoverable: 0, ended: 0, unavailable: 0, deferred: 0, request_rejected: 0 };
  const failed: string[] = [];
  let recovered = 0;
  const lost = { system, state: 'lost' } as const;
  const { total, done, faulty } = await forEachConnection(services, lost, async (connection) => {
    if (connection.state === 'active') return 'skipped';
    const failure = await recover(services, connection);
    if (failure) failures[failure] += 1;
    else recovered += 1;
    if (failure === 'request_rejected') failed.push(`${connection.organizationId} (${failure})`);
    return failure ? OUTCOMES[failure] : 'done';
  });
  printLine(
    `Recovered ${recovered} of ${plural(total, 'lost connection')}; ${failures.rejected} rejected again, ${failures.unrecoverable} without a usable token, ${failures.ended} ended meanwhile.`,
  );
  failed.push(...faulty);
  const untried = total - done + failures.unavailable + failures.deferred;
  const problems = [
    ...(failed.length > 0 ? [`Not recovered: ${failed.join(', ')}.`] : []),
    ...(untried > 0 ? [`${untried} have no result yet: run it again later.`] : []),
  ];
  if (problems.length > 0) throw new CommandError(problems.join(' '));
}

async function recover({ tokenManager, clock }: OperatorServices, lost: LostConnection): Promise<Failure | undefined> {
  if (!hasUsableToken(lost, earliestNow(clock))) return 'unrecoverable';
  const result = await tokenManager.recover(lost);
  switch (result.outcome) {
    case 'current':
      return result.connection.tokenId === lost.tokenId ? undefined : 'ended';
    case 'ended':
      return 'ended';
    case 'deferred':
      return toRefreshFailure(result);
    case 'failed':
      return result.error.failure === 'rejected' ? 'rejected' : toRefreshFailure(result);
  }
}
