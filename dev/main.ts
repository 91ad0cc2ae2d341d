import { type Config, loadConfig, readEnvironment } from '../src/config/config.ts';
import { isLoopback } from '../src/config/environment-schema.ts';
import { startupFailure } from '../src/lifecycle.ts';
import { startFrontend } from './frontend.ts';
import { startIntuit } from './intuit.ts';

process.env['NODE_ENV'] = 'development'; // stronger than the shell's and that of .env

try {
  const config = loadConfig(readEnvironment());
  const hasStandIn = isLoopback(new URL(config.frontendUrl).hostname);
  if (config.simulatorPort) await startIntuit(config, config.simulatorPort);
  if (hasStandIn) await startFrontend(config);
  await import('../src/server.ts'); // returns once the service listens; a signal ends the process
  process.stdout.write(banner(config, hasStandIn));
  endAtSecondInterrupt();
} catch (error) {
  process.stderr.write(`${startupFailure(error)}\n`);
  process.exit(1);
}

function banner({ frontendUrl, quickbooks, simulatorPort }: Config, hasStandIn: boolean): string {
  const service = new URL(quickbooks.redirectUri).origin;
  return `
  Open      ${frontendUrl}/settings/integrations${hasStandIn ? '' : ' (your own frontend)'}
  Service   ${service}
  API docs  ${service}/docs
  Intuit    ${simulatorPort ? `http://localhost:${simulatorPort} (simulator: no Intuit account, no real company)` : 'sandbox, with your own key pair'}

  Ctrl+C stops everything; a second Ctrl+C stops it immediately.

`;
}

function endAtSecondInterrupt(): void {
  process.once('SIGINT', () => process.once('SIGINT', () => process.exit(130)));
}
