import { loadConfig, readEnvironment } from './config/config.ts';
import { createContext } from './context.ts';
import { startupFailure, stopInTime, stopSignal } from './lifecycle.ts';
import { createLogger } from './observability/logger.ts';

try {
  const config = loadConfig(readEnvironment());
  const logger = await createLogger(config);
  const context = await createContext(config, logger);
  context.worker.start();
  logger.info('working');

  const signal = await stopSignal();
  logger.info({ signal }, 'stopping');
  stopInTime(logger);
  context.stop();
  await context.close();
  logger.info('stopped');
  process.exit(0);
} catch (error) {
  process.stderr.write(`${startupFailure(error)}\n`);
  process.exit(1);
}
