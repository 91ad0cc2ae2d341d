import { createApp } from './app.ts';
import { loadConfig, readEnvironment } from './config.ts';
import { createContext } from './context.ts';
import { listen, startupFailure, stopInTime, stopSignal } from './lifecycle.ts';
import { createLogger } from './logger.ts';

try {
  const config = loadConfig(readEnvironment());
  const logger = await createLogger(config);
  const context = await createContext(config, logger);
  context.metrics.watchProcess();
  const stopped = stopSignal();
  const server = await listen(createApp(context), config.server);
  if (config.workerEnabled) context.worker.start();
  logger.info({ address: server.address }, 'listening');

  const signal = await stopped;
  logger.info({ signal }, 'stopping');
  stopInTime(logger);
  context.stop();
  await Promise.all([server.close(), context.worker.stop()]);
  await context.close();
  logger.info('stopped');
  process.exit(0);
} catch (error) {
  process.stderr.write(`${startupFailure(error)}\n`);
  process.exit(1);
}
