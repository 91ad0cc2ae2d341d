import { createApp, createMetricsApp } from './app.ts';
import { serve } from './lifecycle/serve.ts';
import { shutDown, shutdownSignal } from './lifecycle/shutdown.ts';
import { start } from './lifecycle/start.ts';
import { exitWithFailure } from './lifecycle/startup-failure.ts';

try {
  const context = await start();
  const { config, metrics, worker } = context;
  metrics.watchProcess();
  const signalled = shutdownSignal();
  const servers = await serve(context, createApp(context), createMetricsApp(context));
  if (config.workerEnabled) worker.start();
  // Not awaited: `npm run dev` imports this module, and prints its banner once the service listens.
  signalled.then((signal) => shutDown(context, signal, servers)).catch(exitWithFailure);
} catch (error) {
  exitWithFailure(error);
}
