import type { Config } from '../src/config/config.ts';
import { cannotListen } from '../src/lifecycle/listen.ts';
import { startIntuitSimulator } from './intuit-simulator/simulator.ts';
import { INTUIT_LIMITS } from './intuit-simulator/throttle.ts';

/** Starts the Intuit simulator, which keeps its grants in a file between starts. @throws ConfigError */
export async function startIntuit({ quickbooks, server }: Config, port: number): Promise<void> {
  await startIntuitSimulator({
    host: server.host,
    port,
    publicOrigin: `http://localhost:${port}`,
    clientId: quickbooks.clientId,
    clientSecret: quickbooks.clientSecret,
    redirectUris: [quickbooks.redirectUri],
    limits: INTUIT_LIMITS,
    file: './data/intuit-simulator.json',
  }).catch((error) => {
    throw error.syscall === 'listen'
      ? cannotListen(error, { host: server.host, port, variable: 'SIMULATOR_PORT' })
      : error;
  });
}
