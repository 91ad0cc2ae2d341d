import { createApp } from './app.ts';
import { listen } from './lifecycle/listen.ts';
import { shutDown, shutdownSignal } from './lifecycle/shutdown.ts';
import { start } from './lifecycle/start.ts';
import { exitWithFailure } from './lifecycle/startup-failure.ts';

try {
  const context = await start();
  const { config, logger, metrics, worker } = context;
  metrics.watchProcess();
  const signalled = shutdownSignal();
  const server = await listen(createApp(context), { ...config.server, variable: 'PORT' });
  if (config.workerEnabled) worker.start();
  logger.info({ address: server.address }, 'listening');
  // Not awaited: `npm run dev` imports this module, and prints its banner once the service listens.
  signalled.then((signal) => shutDown(context, signal, server)).catch(exitWithFailure);
} catch (error) {
  exitWithFailure(error);
}
