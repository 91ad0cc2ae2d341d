import type { RequestListener } from 'node:http';
import type { Context } from '../context.ts';
import { listen } from './listen.ts';

/** Serves `app` on `PORT`, and `metricsApp` on `METRICS_PORT` if it is set. @throws ConfigError */
export async function serve({ config, logger, metrics }: Context, app: RequestListener, metricsApp: RequestListener) {
  const { host, port, metricsPort, keepAliveMs } = config.server;
  const onDisconnect = (reason: string) => metrics.clientDisconnects.inc({ reason });
  const servers = [await listen(app, { host, port, keepAliveMs, variable: 'PORT', onDisconnect })];
  if (metricsPort !== undefined) {
    servers.push(await listen(metricsApp, { host, port: metricsPort, keepAliveMs, variable: 'METRICS_PORT' }));
  }
  for (const { address } of servers) logger.info({ address }, 'listening');
  return servers;
}
