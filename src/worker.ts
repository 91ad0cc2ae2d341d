import { createMetricsApp, createWorkerApp } from './app.ts';
import { serve } from './lifecycle/serve.ts';
import { shutDown, shutdownSignal } from './lifecycle/shutdown.ts';
import { start } from './lifecycle/start.ts';
import { exitWithFailure } from './lifecycle/startup-failure.ts';

try {
  const context = await start();
  const { metrics, worker } = context;
  metrics.watchProcess();
  const signalled = shutdownSignal();
  const servers = await serve(context, createWorkerApp(context), createMetricsApp(context));
  worker.start();
  await shutDown(context, await signalled, servers);
} catch (error) {
  exitWithFailure(error);
}
