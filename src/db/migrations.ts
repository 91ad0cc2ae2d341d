import { readdir } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Knex } from 'knex';

const ATTEMPTS = 20;
const PAUSE_MS = 500;
const FOLDER = new URL('../../migrations/', import.meta.url);

/** The names of this version's migrations, oldest first. */
export async function migrationNames(): Promise<string[]> {
  return (await migrationFiles()).map(withoutExtension);
}

/** Brings the database to this version's tables. Answers the migrations that were run; two at once wait for each other. */
export async function migrateUp(knex: Knex): Promise<string[]> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const [, names] = await knex.migrate.latest({ migrationSource });
      return names;
    } catch (error) {
      if (!isRunningElsewhere(error) || attempt === ATTEMPTS) throw error;
      await delay(PAUSE_MS);
    }
  }
}

/** Takes the last batch back. Answers the migrations that were undone. */
export async function migrateDown(knex: Knex): Promise<string[]> {
  const [, names] = await knex.migrate.rollback({ migrationSource });
  return names;
}

/** What was run and what was not, oldest first. */
export async function migrationStatus(knex: Knex): Promise<{ done: string[]; pending: string[] }> {
  const [done, pending] = await knex.migrate.list({ migrationSource });
  return { done: done.map(({ name }: { name: string }) => name), pending: pending.map(withoutExtension) };
}

/** Frees the lock that a crashed migration left behind. */
export async function unlockMigrations(knex: Knex): Promise<void> {
  await knex.migrate.forceFreeMigrationsLock({ migrationSource });
}

/** Names without their extension, so that a database migrated from source and one migrated from the build agree. */
const migrationSource: Knex.MigrationSource<string> = {
  getMigrations: migrationFiles,
  getMigrationName: withoutExtension,
  getMigration: (file) => import(new URL(file, FOLDER).href),
};

function isRunningElsewhere(error: unknown): boolean {
  const { name, code, message = '' } = error as Partial<NodeJS.ErrnoException>;
  return name === 'MigrationLocked' || code === 'ER_TABLE_EXISTS_ERROR' || /already exists/.test(message);
}

async function migrationFiles(): Promise<string[]> {
  const files = await readdir(fileURLToPath(FOLDER));
  return files.filter((file) => /(?<!\.d)\.(ts|js)$/.test(file)).sort();
}

function withoutExtension(file: string): string {
  return file.replace(/\.(ts|js)$/, '');
}
