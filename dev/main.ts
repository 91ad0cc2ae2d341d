import { type Config, loadConfig, readEnvironment, SIMULATOR } from '../src/config.ts';
import { startupFailure } from '../src/lifecycle.ts';
import { startIntuitSimulator } from '../test/support/intuit-simulator/simulator.ts';
import { startFrontend } from './frontend.ts';
import { isLoopback, portOf } from './loopback.ts';

try {
  const config = loadConfig(readEnvironment());
  const intuit = config.quickbooks.simulated ? await startIntuit(config) : describeIntuit(config);
  const standIn = isLoopback(new URL(config.frontendUrl).hostname);
  if (standIn) await startFrontend(config);
  process.stdout.write(banner(config, intuit, standIn));
  await import('../src/server.ts'); // runs until a signal, and ends the process
} catch (error) {
  process.stderr.write(`${startupFailure(error)}\n`);
  process.exit(1);
}

async function startIntuit({ quickbooks, server }: Config): Promise<string> {
  const origin = simulatorOrigin(quickbooks);
  await startIntuitSimulator({
    host: server.host,
    port: portOf(origin),
    publicOrigin: origin,
    clientId: quickbooks.clientId,
    clientSecret: quickbooks.clientSecret,
    redirectUris: [quickbooks.redirectUri],
    file: './data/intuit-simulator.json',
  });
  return `${origin} (simulator: no Intuit account, no real company)`;
}

/** Where the service looks for Intuit, if that is one address of this machine. */
function simulatorOrigin({ authorizeUrl, tokenUrl, revokeUrl, apiBaseUrl }: Config['quickbooks']): string {
  const urls = [authorizeUrl, tokenUrl, revokeUrl, apiBaseUrl];
  const [origin, ...others] = new Set(urls.map((url) => new URL(url).origin));
  const ours = origin && others.length === 0 && isLoopback(new URL(origin).hostname);
  return ours ? origin : SIMULATOR.origin;
}

function describeIntuit({ quickbooks }: Config): string {
  return `Intuit's ${quickbooks.environment}, with your own key pair`;
}

function banner({ frontendUrl, quickbooks }: Config, intuit: string, standIn: boolean): string {
  return `
  Open      ${frontendUrl}/settings/integrations${standIn ? '' : ' (your own frontend)'}
  Service   ${new URL(quickbooks.redirectUri).origin}
  Intuit    ${intuit}

  Ctrl+C stops all of it.

`;
}
