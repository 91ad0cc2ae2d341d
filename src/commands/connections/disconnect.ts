import type { ConnectionKey, OrganizationId } from '../../models/connection.ts';
import { OPERATOR } from '../../models/connection-event.ts';
import type { Disconnection } from '../../services/oauth-service.ts';
import { CommandError } from '../command-error.ts';
import { approve } from './approve.ts';
import { keyOf, organizationArgument, type SystemOption, systemVerb } from './arguments.ts';
import { findConnection, findOthers } from './find-connection.ts';
import { describeCompany, printLine } from './output.ts';
import { type OperatorServices, withServices } from './resources.ts';

interface Options extends SystemOption {
  yes?: true;
  unrevoked?: true;
}

/** `disconnect`: ends one organization's connection. */
export function disconnectCommand() {
  return systemVerb(
    'disconnect',
    "Ends an organization's connection and revokes its grant, unless others use the company.",
  )
    .addArgument(organizationArgument())
    .option('--yes', 'does not ask')
    .option(
      '--unrevoked',
      'also ends a connection to a system that this version does not have, without revoking its grant',
    )
    .action((organization: OrganizationId, options: Options) =>
      withServices({ readsCompanies: false, ...(options.unrevoked ? {} : { system: options.system }) }, (services) =>
        disconnect(services, organization, options),
      ),
    );
}

async function disconnect(services: OperatorServices, organization: OrganizationId, options: Options): Promise<void> {
  const { strategies, tokens, connectionList, oauthService } = services;
  const key = keyOf(organization, options);
  const connection = await findConnection(tokens, key);
  const company = describeCompany(connection);
  await approve(
    `This disconnects ${organization} from company ${company}; only its user can connect it again.`,
    options,
  );
  const isKnown = strategies.systems().includes(options.system);
  const disconnection = isKnown
    ? await oauthService.disconnect(key, OPERATOR)
    : await disconnectUnrevoked(services, key);
  if (!disconnection) throw new CommandError(`${organization} was disconnected meanwhile.`);
  const others = disconnection.revocation === 'not_needed' ? await findOthers(connectionList, connection) : [];
  const revocation = describeRevocation(disconnection, others);
  printLine(`Disconnected ${organization} from company ${company}. ${revocation}`);
}

/** Ends a connection to a system that this version does not have: its worker could not revoke the grant. */
async function disconnectUnrevoked({ tokens, grants, revocations }: OperatorServices, key: ConnectionKey) {
  const ended = await tokens.disconnect(key, OPERATOR);
  if (!ended) return undefined;
  if (!ended.revocation) return { revocation: undefined };
  if (ended.revocation === 'awaits_proof') await grants.deleteUnwanted(ended.endedTokenId);
  else await revocations.delete(ended.revocation);
  return { revocation: 'unrevoked' } as const;
}

function describeRevocation({ revocation }: Disconnection | { revocation: 'unrevoked' }, others: string[]): string {
  switch (revocation) {
    case undefined:
      return 'Its tokens were deleted before: there was no grant to revoke.';
    case 'revoked':
      return 'Its grant is revoked.';
    case 'not_needed':
      return `Its grant was not revoked: ${others.join(', ') || 'another organization'} also uses the company.`;
    case 'unrevoked':
      return 'Its grant was deleted without being revoked.';
    case 'abandoned':
      return 'Its grant was not revoked, and is left to expire.';
    case 'awaits_proof':
      return 'Its company was never confirmed: the worker revokes its grant once it is, or lets it expire.';
    case 'deferred':
      return 'Its grant is not revoked yet: the worker does so once it is certain that no connection needs it.';
    case 'failed':
    case 'provider_down':
      return 'Its grant could not be revoked yet: the worker retries it.';
    case 'in_progress':
      return 'Its grant may not be revoked yet: the worker retries it until it is.';
  }
}
