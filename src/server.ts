import { createApp, createMetricsApp } from './app.ts';
import { listen } from './lifecycle/listen.ts';
import { shutDown, shutdownSignal } from './lifecycle/shutdown.ts';
import { start } from './lifecycle/start.ts';
import { exitWithFailure } from './lifecycle/startup-failure.ts';

try {
  const context = await start();
  const { config, logger, metrics, worker } = context;
  metrics.watchProcess();
  const signalled = shutdownSignal();
  const { host, metricsPort } = config.server;
  const servers = [await listen(createApp(context), { ...config.server, variable: 'PORT' })];
  if (metricsPort !== undefined) {
    servers.push(await listen(createMetricsApp(context), { host, port: metricsPort, variable: 'METRICS_PORT' }));
  }
  if (config.workerEnabled) worker.start();
  for (const { address } of servers) logger.info({ address }, 'listening');
  // Not awaited: `npm run dev` imports this module, and prints its banner once the service listens.
  signalled.then((signal) => shutDown(context, signal, servers)).catch(exitWithFailure);
} catch (error) {
  exitWithFailure(error);
}
