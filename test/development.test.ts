import { once } from 'node:events';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Development, freePorts, startDevelopment } from './support/development.ts';
import { printed, runDevelopment } from './support/processes.ts';

describe('`npm run dev`', () => {
  let development: Development;

  beforeAll(async () => {
    // Either of them would prevent startup in production.
    development = await startDevelopment({ NODE_ENV: 'production', QBO_ENVIRONMENT: '' });
  });
  afterAll(async () => {
    await development.kill('SIGKILL');
  });

  it('prints the addresses to open once all servers listen', async () => {
    const { frontend, service, simulator } = development;
    const banner = /\n\n( {2}Open.*?)\n\n/s.exec(`\n${development.stdout()}`)?.[1];
    expect(banner?.split('\n').map((line) => line.trim().split(/ {2,}/))).toEqual([
      ['Open', frontend],
      ['Service', service],
      ['API docs', `${service}/docs`],
      ['Intuit', expect.stringContaining(`${simulator} (simulator`)],
    ]);
    for (const url of [frontend, `${service}/readyz`, `${service}/docs`]) {
      expect((await fetch(url)).status).toBe(200);
    }
  });

  it('warns that anyone can call', async () => {
    await printed(development, /"level":40,.*anyone on this machine can call/);
  });

  it.each(['PORT', 'FRONTEND_URL', 'SIMULATOR_PORT'])('names %s if its port is in use', async (name) => {
    const [port] = await freePorts(1);
    const other = createServer().listen(port, '127.0.0.1');
    await once(other, 'listening');
    const [service, frontend, simulator] = await freePorts(3);
    const { ended, stderr } = runDevelopment({
      PORT: String(service),
      FRONTEND_URL: `http://localhost:${frontend}`,
      SIMULATOR_PORT: String(simulator),
      [name]: name === 'FRONTEND_URL' ? `http://localhost:${port}` : String(port),
    });
    expect(await ended).toBe(1);
    expect(stderr()).toBe(
      `Port ${port} on 127.0.0.1 is already in use. Stop the process that uses it, or choose another port in ${name}.\n`,
    );
    other.close();
  });

  it('does not start if other machines could reach it', async () => {
    const { ended, stderr } = runDevelopment({ HOST: '0.0.0.0' });
    expect([await ended, stderr()]).toEqual([1, 'HOST must be a loopback address in development, such as 127.0.0.1\n']);
  });

  it('stops immediately at the second Ctrl+C, whatever is in flight', async () => {
    const url = `${development.service}/api/v1/quickbooks/acme/invoice`;
    const inFlight = request(url, { method: 'POST', headers: { Expect: '100-continue' } }).on('error', () => undefined);
    inFlight.flushHeaders(); // the body never follows
    await once(inFlight, 'continue');
    void development.kill('SIGINT');
    await printed(development, /"msg":"stopping"/);
    expect(await development.kill('SIGINT')).toBe(130);
  });
});
