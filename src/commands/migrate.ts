import { ConfigError, loadDatabaseConfig, readEnvironment } from '../config.ts';
import { migrateDown, migrateUp, migrationStatus, unlockMigrations } from '../db/migrations.ts';
import { openKnex } from '../db/session.ts';
import { startupFailure } from '../lifecycle.ts';

const COMMANDS: Record<string, (knex: Parameters<typeof migrateUp>[0]) => Promise<string>> = {
  latest: async (knex) => told(await migrateUp(knex), 'Migrated', 'Nothing to migrate: the database is up to date.'),
  rollback: async (knex) => told(await migrateDown(knex), 'Rolled back', 'Nothing to roll back.'),
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

function told(names: string[], verb: string, nothing: string): string {
  return names.length > 0 ? `${verb} ${names.join(', ')}.` : nothing;
}
