import { ConfigError, loadDatabaseConfig, readEnvironment } from '../config/config.ts';
import { countConnections, migrateDown, migrateUp, migrationStatus, unlockMigrations } from '../db/migrations.ts';
import { openKnex } from '../db/session.ts';
import { startupFailure } from '../lifecycle/startup-failure.ts';
import { confirm } from './confirm.ts';

type Knex = Parameters<typeof migrateUp>[0];

const COMMANDS: Record<string, (knex: Knex) => Promise<string>> = {
  latest: async (knex) => outcome(await migrateUp(knex), 'Migrated', 'Nothing to migrate: the database is up to date.'),
  rollback: async (knex) => {
    await approveRollback(await countConnections(knex));
    return outcome(await migrateDown(knex), 'Rolled back', 'Nothing to roll back.');
  },
  status: async (knex) => {
    const { done, pending } = await migrationStatus(knex);
    return [...done.map((name) => `done     ${name}`), ...pending.map((name) => `pending  ${name}`)].join('\n');
  },
  unlock: async (knex) => {
    await unlockMigrations(knex);
    return 'Unlocked.';
  },
};

try {
  const command = COMMANDS[process.argv[3] ?? 'latest'];
  if (!command) throw new ConfigError([`usage: migrate ${Object.keys(COMMANDS).join('|')}`]);
  const knex = openKnex(loadDatabaseConfig(readEnvironment()));
  try {
    process.stdout.write(`${await command(knex)}\n`);
  } finally {
    await knex.destroy();
  }
} catch (error) {
  process.stderr.write(`${startupFailure(error)}\n`);
  process.exitCode = 1;
}

/** @throws ConfigError unless the user confirms that connections may be deleted */
async function approveRollback(connections: number): Promise<void> {
  if (connections === 0 || process.argv.includes('--yes')) return;
  const risk = `The database contains connections (${connections} rows), which a rollback can delete.`;
  const confirmed = await confirm(risk);
  if (confirmed === undefined) throw new ConfigError([`${risk} To roll back, add --yes.`]);
  if (!confirmed) throw new ConfigError(['Nothing was rolled back.']);
}

function outcome(names: string[], verb: string, nothing: string): string {
  return names.length > 0 ? `${verb} ${names.join(', ')}.` : nothing;
}
