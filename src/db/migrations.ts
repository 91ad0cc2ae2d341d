import { setTimeout as delay } from 'node:timers/promises';
import type { Knex } from 'knex';
import { isDeadlock } from './database-errors.ts';
import { migrationSource } from './migration-source.ts';
import { MigrationError } from './migration-steps.ts';

const ATTEMPTS = 20;
const PAUSE_MS = 500;
const LOCK = 'knex_migrations_lock';
const REMOVE_EXTENSIONS = "UPDATE knex_migrations SET name = REPLACE(REPLACE(name, '.ts', ''), '.js', '')";

/** The names of this version's migrations, oldest first. */
export async function migrationNames(): Promise<string[]> {
  const migrations = await migrationSource.getMigrations([]);
  return migrations.map((migration) => migrationSource.getMigrationName(migration));
}

/** Brings the database to this version's tables. Returns the migrations that were run. */
export async function migrateUp(knex: Knex): Promise<string[]> {
  return oneAtATime(knex, async () => {
    const [, names] = await knex.migrate.latest();
    return names;
  });
}

/** Undoes the last batch. Returns the migrations that were undone. */
export async function migrateDown(knex: Knex): Promise<string[]> {
  return oneAtATime(knex, async () => {
    const [, names] = await knex.migrate.rollback();
    return names;
  });
}

/** The migrations that were run and those that are pending, oldest first. */
export async function migrationStatus(knex: Knex): Promise<{ done: string[]; pending: string[] }> {
  const [done, pending] = await oneAtATime(knex, () => knex.migrate.list());
  return {
    done: done.map(({ name }: { name: string }) => name),
    pending: pending.map(migrationSource.getMigrationName),
  };
}

/** Releases the lock that a crashed migration left behind. */
export async function unlockMigrations(knex: Knex): Promise<void> {
  await knex.migrate.forceFreeMigrationsLock();
}

/** The number of rows that a rollback could delete together with their table. */
export async function countConnections(knex: Knex): Promise<number> {
  if (!(await knex.schema.hasTable('oauth_tokens'))) return 0;
  const row = await knex('oauth_tokens').count({ total: '*' }).first();
  return Number(row?.total ?? 0);
}

/** Runs `work` once no other process migrates. @throws MigrationError, or Knex's MigrationLocked after 10 s */
async function oneAtATime<T>(knex: Knex, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await createLock(knex);
      return await work();
    } catch (error) {
      if (!isRunningElsewhere(error) || attempt === ATTEMPTS) throw await explained(knex, error);
      await delay(PAUSE_MS);
    }
  }
}

/** Knex lets the server number the lock's row: two processes that create it at once would each have a row, and a lock. */
async function createLock(knex: Knex): Promise<void> {
  if (!(await knex.schema.hasTable(LOCK))) {
    await knex.schema.createTable(LOCK, (table) => {
      table.increments('index');
      table.integer('is_locked');
    });
  }
  if (!(await knex(LOCK).first())) await knex(LOCK).insert({ index: 1, is_locked: 0 }).onConflict('index').ignore();
}

/** True if another process holds the lock, or was quicker to create one of Knex's own tables. */
function isRunningElsewhere(error: unknown): boolean {
  const { name, code, message = '' } = error as Partial<NodeJS.ErrnoException>;
  if (name === 'MigrationError') return false;
  return (
    name === 'MigrationLocked' ||
    code === 'ER_TABLE_EXISTS_ERROR' ||
    /already exists/.test(message) ||
    isDeadlock(error)
  );
}

/**
 * Knex calls whatever prevents a lock a lock of another process, and names that it does not know a corrupt directory.
 * Their cause is in the text and in the names.
 */
async function explained(knex: Knex, error: unknown): Promise<unknown> {
  const { name, message } = error as Error;
  if (name === 'MigrationLocked' && !/already locked/.test(message)) {
    return new MigrationError(`The lock of the migrations cannot be acquired: ${message.replace(/^.* - /s, '')}`);
  }
  if (!(error instanceof Error) || !/migration directory is corrupt/.test(error.message)) return error;
  const known = await migrationNames();
  const recorded: string[] = await knex('knex_migrations').pluck('name');
  const unknown = recorded.filter((name) => !known.includes(name));
  return new MigrationError(
    unknown.some((name) => known.includes(name.replace(/\.(ts|js)$/, '')))
      ? `Knex's command line ran without this project's knexfile and recorded names with a file extension. Remove it: ${REMOVE_EXTENSIONS};`
      : `The database has migrations that this version does not know: ${unknown.join(', ')}. Use the version that ran them.`,
  );
}
