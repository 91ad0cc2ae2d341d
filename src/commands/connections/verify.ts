import type { ActiveConnection, OrganizationId } from '../../models/connection.ts';
import { CommandError } from '../command-error.ts';
import { keyOf, organizationArgument, type SystemOption, systemVerb } from './arguments.ts';
import { findConnection } from './find-connection.ts';
import { forEachConnection, type WorkOutcome } from './for-each-connection.ts';
import { describeCompany, plural, printLine } from './output.ts';
import { REFRESH_EXPLANATIONS, REFRESH_OUTCOMES, type RefreshFailure, toRefreshFailure } from './refresh-failure.ts';
import { type OperatorServices, withServices } from './resources.ts';

/** Why one verification did not succeed. */
type Failure = 'lost' | 'denied' | 'not_refreshed' | RefreshFailure;

const OUTCOMES: Record<Failure, WorkOutcome> = {
  lost: 'done',
  denied: 'done',
  not_refreshed: 'done',
  ...REFRESH_OUTCOMES,
};

const EXPLANATIONS: Record<Failure, string> = {
  lost: 'it is lost or has ended, see `events`',
  denied: 'its grant is alive, but the provider denies access to the company',
  not_refreshed: 'the provider rejected its new access token, and another refresh did not help: see `events`',
  ...REFRESH_EXPLANATIONS,
};

/** `verify`: finds out whether connections are alive. */
export function verifyCommand() {
  return systemVerb(
    'verify',
    'Refreshes the active connection of an organization, or all of them, and reads the company again.',
  )
    .addArgument(organizationArgument('[organization]', 'its ID; by default, all'))
    .action((organization: OrganizationId | undefined, options: SystemOption) =>
      withServices({ readsCompanies: true, system: options.system }, (services) =>
        organization ? verifyOne(services, organization, options) : verifyAll(services, options),
      ),
    );
}

async function verifyOne(services: OperatorServices, organization: OrganizationId, options: SystemOption) {
  const key = keyOf(organization, options);
  const connection = await findConnection(services.tokens, key);
  const failure = connection.state === 'lost' ? 'lost' : await verify(services, connection);
  if (failure) throw new CommandError(`${organization} was not verified: ${EXPLANATIONS[failure]}.`);
  const verified = await findConnection(services.tokens, key);
  printLine(`Verified ${organization}: company ${describeCompany(verified)}.`);
}

async function verifyAll(services: OperatorServices, { system }: SystemOption): Promise<void> {
  const failed: string[] = [];
  const active = { system, state: 'active' } as const;
  const { total, done, faulty } = await forEachConnection(services, active, async (connection) => {
    const failure = connection.state === 'active' ? await verify(services, connection) : undefined;
    if (failure) failed.push(`${connection.organizationId} (${failure})`);
    return failure ? OUTCOMES[failure] : 'done';
  });
  failed.push(...faulty);
  printLine(`Verified ${done - failed.length} of ${plural(total, 'active connection')}.`);
  const unfinished = done < total ? [`${total - done} not reached: run it again`] : [];
  if (failed.length + unfinished.length > 0) {
    throw new CommandError(`Not verified: ${[...failed, ...unfinished].join(', ')}.`);
  }
}

async function verify(
  { tokenManager, verifier }: OperatorServices,
  connection: ActiveConnection,
): Promise<Failure | undefined> {
  const result = await tokenManager.refresh(connection);
  if (result.outcome === 'ended') return 'lost';
  if (result.outcome !== 'current') return toRefreshFailure(result);
  // Any other denial may come from a wrong QBO_ENVIRONMENT here, and is left to the worker.
  switch (await verifier.verifyCompany(result.connection, ({ details }) => details.status === 401)) {
    case 'verified':
      return undefined;
    case 'denied':
      return 'denied';
    case 'ended':
      return 'lost';
    case 'provider_down':
      return 'unavailable';
    case 'not_refreshed':
      return 'not_refreshed';
    case 'rate_limited':
      return 'deferred';
  }
}
