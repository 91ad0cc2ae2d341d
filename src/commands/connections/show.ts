import type { Connection, OrganizationId } from '../../models/connection.ts';
import { toListedConnection } from '../../schemas/connection-list.ts';
import { keyOf, organizationArgument, type SystemOption, systemVerb } from './arguments.ts';
import { findConnection, findOthers } from './find-connection.ts';
import { describeCompany, describeState, printJson, printTable } from './output.ts';
import { type Readers, withReaders } from './resources.ts';

interface Options extends SystemOption {
  json?: true;
}

/** `show`: one organization's connection. */
export function showCommand() {
  return systemVerb('show', "Shows an organization's connection, and who else uses its company. Times are in UTC.")
    .addArgument(organizationArgument())
    .option('--json', 'prints an object, with the fields of the API')
    .action((organization: OrganizationId, options: Options) =>
      withReaders((readers) => show(readers, organization, options)),
    );
}

async function show(
  { tokens, connectionList, clock }: Readers,
  organization: OrganizationId,
  options: Options,
): Promise<void> {
  const connection = await findConnection(tokens, keyOf(organization, options));
  if (options.json) return printJson(toListedConnection(connection, clock.now()));
  const others = await findOthers(connectionList, connection);
  printTable([], [...rowsOf(connection), ['others on this company', others.join(', ') || 'none']]);
}

function rowsOf(connection: Connection) {
  const { organizationId, lastRefreshedAt, lastVerifiedAt, refresh, maintenance } = connection;
  const common = [
    ['organization', organizationId],
    ['state', describeState(connection)],
    ['company', describeCompany(connection)],
    ['last refreshed', lastRefreshedAt],
    ['last accepted by the provider', lastVerifiedAt],
    ['refresh in progress or of unknown outcome', refresh.startedAt ?? 'no'],
    ['failed refreshes since the last success', refresh.failures],
    ['worker looks at it next', maintenance.nextAt ?? 'never'],
  ];
  if (connection.state === 'lost') {
    const { lostAt, tokens } = connection;
    const isKept = tokens === undefined ? 'deleted' : 'kept, for recovery';
    return [...common, ['lost', lostAt], ['recoveries attempted', maintenance.recoveryAttempts], ['tokens', isKept]];
  }
  const { accessTokenExpiresAt, refreshTokenExpiresAt, authorizationExpiresAt } = connection.tokens;
  return [
    ...common,
    ['access token expires', accessTokenExpiresAt],
    ['refresh token expires', refreshTokenExpiresAt],
    ['authorized until', authorizationExpiresAt ?? 'unknown'],
  ];
}
