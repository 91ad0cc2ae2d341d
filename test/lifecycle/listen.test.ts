import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { cannotListen, listen } from '../../src/lifecycle/listen.ts';

const HOST = '127.0.0.1';

describe('a server that cannot listen', () => {
  it('reports a port that is in use, with the variable that sets it', async () => {
    const other = createServer().listen(0, HOST);
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    await expect(listen(() => {}, { host: HOST, port, variable: 'METRICS_PORT' })).rejects.toThrow(
      `Port ${port} on 127.0.0.1 is already in use. Stop the process that uses it, or choose another port in METRICS_PORT.`,
    );
    other.close();
  });

  it.each([
    [
      'EACCES',
      'Port 80 on 127.0.0.1 needs privileges that this process does not have. Choose a port above 1023 in PORT.',
    ],
    ['EADDRNOTAVAIL', 'Port 80 on 127.0.0.1 cannot be used: EADDRNOTAVAIL. See HOST and PORT.'],
  ])('reports %s in one line', (code, line) => {
    expect(cannotListen({ code }, { host: HOST, port: 80 }).message).toBe(line);
  });
});
