import type { Context } from '../context.ts';

/** A shutdown takes no longer than this: orchestrators kill the process after 15 s or more. */
const MAX_SHUTDOWN_MS = 14_000;

/** Resolves with the signal that asks the process to stop. */
export async function shutdownSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    // The listeners remain: without them a second signal would interrupt the work that is being finished.
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, resolve);
  });
}

/** Finishes the requests and the work in flight, then ends the process. */
export async function shutDown(
  context: Context,
  signal: NodeJS.Signals,
  servers: { close(): Promise<void> }[],
): Promise<never> {
  const { logger, clock, worker } = context;
  logger.info({ signal }, 'stopping');
  clock.startTimer(MAX_SHUTDOWN_MS, () => {
    logger.warn('stopped with work unfinished: it took too long');
    process.exit(1);
  });
  context.stop();
  await Promise.all([...servers.map((server) => server.close()), worker.stop()]);
  await context.close();
  logger.info('stopped');
  process.exit(0);
}
