import type { OrganizationId } from '../../models/connection.ts';
import { OPERATOR } from '../../models/connection-event.ts';
import { approve } from './approve.ts';
import { keyOf, organizationArgument, type SystemOption, systemVerb } from './arguments.ts';
import { findConnection, findOthers } from './find-connection.ts';
import { describeCompany, printLine } from './output.ts';
import { type OperatorServices, withServices } from './resources.ts';

interface Options extends SystemOption {
  yes?: true;
}

/** `disconnect`: ends one organization's connection. */
export function disconnectCommand() {
  return systemVerb(
    'disconnect',
    "Ends an organization's connection and revokes its grant, unless others use the company.",
  )
    .addArgument(organizationArgument())
    .option('--yes', 'does not ask')
    .action((organization: OrganizationId, options: Options) =>
      withServices({ readsCompanies: false, system: options.system }, (services) =>
        disconnect(services, organization, options),
      ),
    );
}

async function disconnect(services: OperatorServices, organization: OrganizationId, options: Options): Promise<void> {
  const { tokens, connectionList, revocations, oauthService, backgroundTasks } = services;
  const key = keyOf(organization, options);
  const connection = await findConnection(tokens, key);
  const company = describeCompany(connection);
  const others = await findOthers(connectionList, connection);
  await approve(
    `This disconnects ${organization} from company ${company}; only its user can connect it again.`,
    options,
  );
  await oauthService.disconnect(key, OPERATOR);
  await backgroundTasks.drain();
  const pending = await revocations.listOfCompany(connection.system, connection.realmId);
  const revocation =
    pending.length > 0
      ? 'Its grant could not be revoked yet: the worker retries it.'
      : others.length > 0
        ? `Its grant was not revoked: ${others.join(', ')} also uses the company.`
        : 'Its grant is revoked.';
  printLine(`Disconnected ${organization} from company ${company}. ${revocation}`);
}
