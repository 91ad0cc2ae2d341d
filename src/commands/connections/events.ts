import type { OrganizationId } from '../../models/connection.ts';
import { toEventFields } from '../../schemas/events.ts';
import { keyOf, organizationArgument, type SystemOption, systemVerb, wholeNumber } from './arguments.ts';
import { plural, printJson, printLine, printTable } from './output.ts';
import { type Readers, withReaders } from './resources.ts';

const HEAD = ['time (UTC)', 'event', 'reason', 'company', 'actor', 'intuit_tid'];

interface Options extends SystemOption {
  limit: number;
  json?: true;
}

/** `events`: one organization's timeline. */
export function eventsCommand() {
  return systemVerb('events', "Shows what happened to an organization's connection, newest first.")
    .addArgument(organizationArgument())
    .option('--limit <number>', 'no more than this', wholeNumber(1, 10_000), 50)
    .option('--json', 'prints an array, with the fields of the API')
    .action((organization: OrganizationId, options: Options) =>
      withReaders((readers) => showEvents(readers, organization, options)),
    );
}

async function showEvents({ events }: Readers, organization: OrganizationId, options: Options): Promise<void> {
  const found = await events.listNewest(keyOf(organization, options), options.limit);
  if (options.json) return printJson(found.map(toEventFields));
  const rows = found.map(({ occurredAt, type, reason, realmId, actor, intuitTid }) => [
    occurredAt,
    type,
    reason,
    realmId,
    actor,
    intuitTid,
  ]);
  if (rows.length > 0) printTable(HEAD, rows);
  printLine(`${plural(rows.length, 'event')}.`);
}
