import { type Config, loadConfig, readEnvironment } from '../src/config/config.ts';
import { isLoopback } from '../src/config/variable-types.ts';
import { exitWithFailure } from '../src/lifecycle/startup-failure.ts';
import { startFrontend } from './frontend/frontend.ts';
import { createIssuer } from './frontend/issuer.ts';
import { startIntuit } from './intuit.ts';

process.env['NODE_ENV'] = 'development'; // whatever the shell or .env sets

try {
  const environment = readEnvironment();
  const config = loadConfig(environment);
  const servesFrontend = isLoopback(new URL(config.frontendUrl).hostname);
  if (config.simulatorPort) await startIntuit(config, config.simulatorPort);
  if (servesFrontend) {
    const issuer = await createIssuer(config.frontendUrl, environment);
    await startFrontend(config, issuer);
    const { apiKeys, jwt } = config.callers;
    if (apiKeys.length > 0 || jwt) Object.assign(process.env, issuer.variables); // otherwise no credentials are required
  }
  await import('../src/server.ts'); // resolves once the service listens; a signal ends the process
  process.stdout.write(banner(config, servesFrontend));
  exitOnSecondInterrupt();
} catch (error) {
  exitWithFailure(error);
}

function banner({ frontendUrl, quickbooks, simulatorPort }: Config, servesFrontend: boolean): string {
  const service = new URL(quickbooks.redirectUri).origin;
  const simulator = `http://localhost:${simulatorPort} (simulator: no Intuit account, no real company)`;
  return `
  Open      ${frontendUrl}/settings/integrations${servesFrontend ? '' : ' (your own frontend)'}
  Service   ${service}
  API docs  ${service}/docs
  Intuit    ${simulatorPort ? simulator : 'sandbox, with your own key pair'}

  Ctrl+C stops everything; a second Ctrl+C stops it immediately.

`;
}

function exitOnSecondInterrupt(): void {
  process.once('SIGINT', () => process.once('SIGINT', () => process.exit(130)));
}
