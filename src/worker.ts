import { shutDown, shutdownSignal } from './lifecycle/shutdown.ts';
import { start } from './lifecycle/start.ts';
import { exitWithFailure } from './lifecycle/startup-failure.ts';

try {
  const context = await start();
  const signalled = shutdownSignal();
  context.worker.start();
  context.logger.info('working');
  await shutDown(context, await signalled);
} catch (error) {
  exitWithFailure(error);
}
