import type { Knex } from 'knex';
import { ConfigError, loadDatabaseConfig, readEnvironment } from './src/config/config.ts';
import { knexConfig } from './src/db/knex-config.ts';

/** The settings of Knex's command line: the service's own connection and migrations, from DATABASE_URL. */
export default function settings(): Knex.Config {
  Error.stackTraceLimit = 0; // it prints the stack of every error
  try {
    return knexConfig(loadDatabaseConfig(readEnvironment()));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`); // thrown, it would be printed with its stack
    process.exit(1);
  }
}
