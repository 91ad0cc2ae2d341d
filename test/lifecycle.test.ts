import { mkdtempSync, rmdirSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { cannotListen, listen, startupFailure } from '../src/lifecycle.ts';

const at = { host: '127.0.0.1', variable: 'METRICS_PORT' };

describe('a port', () => {
  it('that is in use is reported with the variable that sets it', async () => {
    const holder = createServer().listen(0, at.host);
    await new Promise((resolve) => holder.on('listening', resolve));
    const { port } = holder.address() as AddressInfo;
    await expect(listen(() => {}, { ...at, port })).rejects.toThrow(
      `Port ${port} on 127.0.0.1 is already in use. Stop the process that uses it, or choose another port in METRICS_PORT.`,
    );
    holder.close();
  });

  it.each([
    [
      'EACCES',
      'Port 80 on 127.0.0.1 needs privileges that this process does not have. Choose a port above 1023 in PORT.',
    ],
    ['EADDRNOTAVAIL', 'Port 80 on 127.0.0.1 cannot be used: EADDRNOTAVAIL. See HOST and PORT.'],
  ])('that fails with %s is reported in one line', (code, line) => {
    expect(cannotListen({ code }, { host: at.host, port: 80 }).message).toBe(line);
  });
});

describe('a folder without permission', () => {
  it('is reported with its owner and the user of this process', () => {
    const folder = mkdtempSync(join(tmpdir(), 'lifecycle-'));
    const error = Object.assign(new Error('denied'), { code: 'EACCES', path: join(folder, 'data/dev.db') });
    const user = process.getuid?.();
    expect(startupFailure(error)).toBe(
      `No permission to use ${error.path}: ${folder} belongs to user ID ${user}, and this process runs as user ID ${user}.`,
    );
    rmdirSync(folder);
  });
});
