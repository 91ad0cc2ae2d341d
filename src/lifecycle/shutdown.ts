import type { Context } from '../context.ts';
import { flushStandardOutput } from '../observability/standard-output.ts';
import { stopTracing } from '../tracing/tracing.ts';

/** After `SHUTDOWN_DELAY_MS`, a shutdown takes no longer than 15 s, of which this is for the work in flight. */
const MAX_SHUTDOWN_MS = 14_000;
/** How long a slow reader of the standard output is waited for. */
const FLUSH_MS = 500;

/** Resolves with the signal that asks the process to stop. */
export async function shutdownSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    // The listeners remain: without them a second signal would interrupt the work that is being finished.
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, resolve);
  });
}

/**
 * Reports that the process is stopping, and serves for `SHUTDOWN_DELAY_MS` more, until load balancers have noticed. Then
 * finishes the requests and the work in flight, and ends the process.
 */
export async function shutDown(
  context: Context,
  signal: NodeJS.Signals,
  servers: { close(): Promise<void> }[],
): Promise<never> {
  const { config, logger, clock, health, worker } = context;
  logger.info({ signal }, 'stopping');
  health.stop();
  const workerStopped = worker.stop();
  if (config.server.shutdownDelayMs > 0) await clock.sleep(config.server.shutdownDelayMs);
  clock.startTimer(MAX_SHUTDOWN_MS, () => {
    logger.warn('stopped with work unfinished: it took too long');
    process.exit(1);
  });
  context.stop();
  await Promise.all([...servers.map((server) => server.close()), workerStopped]);
  await context.close();
  await stopTracing();
  const isFinished = !context.hasLostGrant();
  if (isFinished) logger.info('stopped');
  else logger.warn('stopped with work unfinished: a new grant could be neither stored nor revoked');
  const limit = new AbortController();
  clock.startTimer(FLUSH_MS, () => limit.abort());
  await flushStandardOutput(limit.signal);
  process.exit(isFinished ? 0 : 1);
}
