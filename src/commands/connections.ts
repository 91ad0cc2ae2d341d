import { Command } from 'commander';
import { startupFailure } from '../lifecycle/startup-failure.ts';
import { CommandError } from './command-error.ts';
import { disconnectCommand } from './connections/disconnect.ts';
import { eraseCommand } from './connections/erase.ts';
import { eventsCommand } from './connections/events.ts';
import { importCommand } from './connections/import.ts';
import { listCommand } from './connections/list.ts';
import { recountCommand } from './connections/recount.ts';
import { recoverCommand } from './connections/recover.ts';
import { showCommand } from './connections/show.ts';
import { verifyCommand } from './connections/verify.ts';

const HELP = `
Every verb needs DATABASE_URL. Those that use tokens (disconnect, recover, verify, import, erase) also need ENCRYPTION_KEY,
QBO_CLIENT_ID and QBO_CLIENT_SECRET; verify and import also QBO_ENVIRONMENT. Events are posted as webhooks if
EVENTS_WEBHOOK_URL and EVENTS_WEBHOOK_SECRET are set. The exit code is 0, or 1 with the reason on stderr.`;

/** Verbs that change nothing. */
const READING_VERBS = ['list', 'show', 'events'];

const program = new Command('connections')
  .usage('VERB [options]')
  .description("Lists all organizations' connections, and acts on them.")
  .helpCommand(false)
  .addHelpText('after', HELP)
  .showSuggestionAfterError(false);
const verbs = [
  ...[listCommand(), showCommand(), eventsCommand(), disconnectCommand(), recoverCommand()],
  ...[recountCommand(), verifyCommand(), importCommand(), eraseCommand()],
];
for (const verb of verbs) program.addCommand(verb.copyInheritedSettings(program));

const args = process.argv.slice(3);
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  if (READING_VERBS.includes(args[0] ?? '')) process.exit(0); // the reader, `head` for one, has seen enough
});

try {
  if (args.length === 0) {
    program.outputHelp({ error: true });
    throw new CommandError('error: missing verb');
  }
  await program.parseAsync(args, { from: 'user' });
} catch (error) {
  process.stderr.write(`${error instanceof CommandError ? error.message : startupFailure(error)}\n`);
  process.exitCode = 1;
}
