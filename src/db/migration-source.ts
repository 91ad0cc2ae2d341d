import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Knex } from 'knex';
import { ConnectError, isDeadlock } from './database-errors.ts';
import { MigrationError } from './migration-steps.ts';

const FOLDER = new URL('../../migrations/', import.meta.url);

/** A migration's name, as it is recorded and listed, and where its module is. */
interface MigrationFile {
  /** Knex's command line lists this property. */
  file: string;
  url: URL;
}

/** Names have no extension, so that a database migrated from source and one migrated from the build agree. */
export const migrationSource: Knex.MigrationSource<MigrationFile> = {
  async getMigrations() {
    const files = await readdir(fileURLToPath(FOLDER));
    return files
      .filter((file) => /^\d{14}_.*(?<!\.d)\.(ts|js)$/.test(file))
      .sort()
      .map((file) => ({ file: file.replace(/\.(ts|js)$/, ''), url: new URL(file, FOLDER) }));
  },
  getMigrationName: ({ file }) => file,
  async getMigration({ file, url }) {
    const { up, down }: Knex.Migration = await import(url.href);
    return { up: explained(file, up), down: explained(file, down ?? irreversible(file)) };
  },
};

/** What `migrate:make` creates a migration from. */
export const migrationTemplate = fileURLToPath(new URL('migration.stub', FOLDER));

type Step = (knex: Knex) => PromiseLike<void>;

function explained(migration: string, run: Step): Step {
  return async (knex) => {
    try {
      await run(knex);
    } catch (error) {
      throw explanation(migration, error);
    }
  };
}

/**
 * Names the migration and quotes the server's own text, which names the table. Errors of connecting, and those that a
 * migration on another node causes, are returned as they are.
 */
function explanation(migration: string, error: unknown): unknown {
  const { code = '', message = '', sqlMessage = message.replace(/^.* - /s, '') } = error as DriverError;
  if (!/^(ER|SQLITE)_/.test(code) || isDeadlock(error) || error instanceof ConnectError) return error;
  return new MigrationError(
    `Migration ${migration} failed: ${sqlMessage} (${code}). Fix the cause and migrate again: it continues where it stopped.`,
  );
}

type DriverError = { code?: string; message?: string; sqlMessage?: string };

function irreversible(migration: string): Step {
  return async () => {
    throw new MigrationError(`Migration ${migration} cannot be rolled back.`);
  };
}
