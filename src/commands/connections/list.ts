import { Option } from 'commander';
import type { RealmId } from '../../models/connection.ts';
import type { ListedState } from '../../models/connection-list.ts';
import { toListedConnection } from '../../schemas/connection-list.ts';
import { type SystemOption, systemVerb } from './arguments.ts';
import { describeState, plural, printJsonArray, printLine, printTable } from './output.ts';
import { type Readers, withReaders } from './resources.ts';

const STATES: ListedState[] = ['active', 'lost', 'refresh_failing', 'expiring'];
const HEAD = ['organization', 'company', 'name', 'state', 'last accepted (UTC)', 'authorized until (UTC)'];

interface Options extends SystemOption {
  state?: ListedState;
  realm?: RealmId;
  json?: true;
}

/** `list`: all organizations' connections. */
export function listCommand() {
  return systemVerb('list', "Lists all organizations' connections, in the order of their IDs.")
    .addOption(new Option('--state <state>', 'only those in this state').choices(STATES))
    .option('--realm <id>', 'only those to this company')
    .option('--json', 'prints an array, with the fields of the API')
    .action((options: Options) => withReaders((readers) => list(readers, options)));
}

async function list({ connectionList, clock }: Readers, { system, state, realm, json }: Options): Promise<void> {
  const found = connectionList.listAll({ system, state, realmId: realm });
  if (json) return printJsonArray(mapAsync(found, (connection) => toListedConnection(connection, clock.now())));
  const rows = [];
  for await (const connection of found) {
    const { organizationId, realmId, companyName, lastVerifiedAt, tokens } = connection;
    const until = connection.state === 'active' ? tokens?.authorizationExpiresAt : undefined;
    rows.push([organizationId, realmId, companyName, describeState(connection), lastVerifiedAt, until]);
  }
  if (rows.length > 0) printTable(HEAD, rows);
  printLine(`${plural(rows.length, 'connection')}.`);
}

async function* mapAsync<T, U>(items: AsyncIterable<T>, map: (item: T) => U): AsyncGenerator<U> {
  for await (const item of items) yield map(item);
}
