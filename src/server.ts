import { createApp } from './app.ts';
import { loadConfig, readEnvironment } from './config/config.ts';
import { createContext } from './context.ts';
import { listen, startupFailure, stopInTime, stopSignal } from './lifecycle.ts';
import { createLogger } from './observability/logger.ts';

try {
  const config = loadConfig(readEnvironment());
  const logger = await createLogger(config);
  const context = await createContext(config, logger);
  context.metrics.watchProcess();
  const stopped = stopSignal();
  const server = await listen(createApp(context), { ...config.server, variable: 'PORT' });
  if (config.workerEnabled) context.worker.start();
  if (!config.production && config.callers.apiKeys.length === 0 && !config.callers.jwt) {
    logger.warn('no API_KEYS or AUTH_JWKS_URL is set, as development permits: anyone on this machine can call');
  }
  logger.info({ address: server.address }, 'listening');

  const stop = async (signal: NodeJS.Signals) => {
    logger.info({ signal }, 'stopping');
    stopInTime(logger);
    context.stop();
    await Promise.all([server.close(), context.worker.stop()]);
    await context.close();
    logger.info('stopped');
    process.exit(0);
  };
  stopped.then(stop).catch(fail);
} catch (error) {
  fail(error);
}

function fail(error: unknown): never {
  process.stderr.write(`${startupFailure(error)}\n`);
  process.exit(1);
}
