import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type Process, printed, runDevelopment } from './processes.ts';

/** What `npm run dev` runs, on free ports and in a folder of its own. */
export interface Development extends Process {
  /** The variables that it was started with. */
  env: Record<string, string>;
  service: string;
  frontend: string;
  simulator: string;
}

/** Starts development. Resolves once it has printed its banner. */
export async function startDevelopment(env: Record<string, string> = {}): Promise<Development> {
  const [service, frontend, simulator] = await freePorts(3);
  const variables = {
    PORT: String(service),
    FRONTEND_URL: `http://localhost:${frontend}/app`,
    SIMULATOR_PORT: String(simulator),
    ...env,
  };
  const development = runDevelopment(variables);
  await printed(development, /Ctrl\+C stops/);
  return {
    ...development,
    env: variables,
    service: `http://localhost:${service}`,
    frontend: `http://localhost:${frontend}/app/settings/integrations`,
    simulator: `http://localhost:${simulator}`,
  };
}

/** Ports that nothing listens on. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}
