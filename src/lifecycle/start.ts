import { loadConfig, readEnvironment } from '../config/config.ts';
import { type Context, createContext } from '../context.ts';
import { migrateUp } from '../db/migrations.ts';
import { createLogger } from '../observability/logger.ts';
import { logStartupWarnings } from '../observability/startup-warnings.ts';

/** Builds the service from the process's environment, and migrates its database if the configuration says so. */
export async function start(): Promise<Context> {
  const config = loadConfig(readEnvironment());
  if (config.production) process.on('SIGUSR1', () => undefined); // without a listener, Node opens its debugger
  const logger = await createLogger(config);
  const context = createContext(config, logger);
  if (config.migrateAtStartup) await context.session.query(migrateUp);
  logStartupWarnings(config, logger);
  void context.health.readiness(); // logs what is wrong, before anyone asks
  return context;
}
