import { chmodSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { loadDatabaseConfig } from '../../src/config/config.ts';
import { openSession } from '../../src/db/session.ts';
import { systemClock } from '../../src/utils/clock.ts';
import { type Authority, createAuthority } from '../support/certificates.ts';
import { describeOwnServers, type OwnServer } from '../support/own-server.ts';

const TLS_OPTIONS = [
  '--ssl-ca=../ca.pem',
  '--ssl-cert=../server.pem',
  '--ssl-key=../server.key',
  '--require-secure-transport=ON',
];
const UNTRUSTED = /HANDSHAKE_SSL_ERROR \((unable to verify|self-signed|unable to get)/;
const MISNAMED = /HANDSHAKE_SSL_ERROR \(Hostname\/IP does not match/;
const RELOAD = { MySQL: 'ALTER INSTANCE RELOAD TLS', MariaDB: 'FLUSH SSL' };

describeOwnServers('a server that requires TLS', (start, kind) => {
  let folder: string;
  let server: OwnServer;
  let ours: Authority;
  let foreign: Authority;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tls-'));
    ours = createAuthority(folder, 'ours');
    foreign = createAuthority(folder, 'foreign');
    server = await start(TLS_OPTIONS, (serverFolder) => install(serverFolder, ['DNS:localhost', 'IP:127.0.0.1']));
  }, 60_000);
  afterAll(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });

  it('cannot be reached without TLS', async () => {
    expect(await outcome('127.0.0.1', 'ssl-mode=DISABLED')).toMatch(
      /INSECURE|SECURE_TRANSPORT|ER_ACCESS_DENIED|3159|4031/,
    );
    expect(await outcome('127.0.0.1', '')).toMatch(/INSECURE|SECURE_TRANSPORT|ER_ACCESS_DENIED|3159|4031/);
  });

  it.each([
    ['127.0.0.1', 'ssl-mode=REQUIRED', 'encrypted'],
    ['127.0.0.1', 'ssl-mode=VERIFY_CA&ssl-ca=OURS', 'encrypted'],
    ['127.0.0.1', 'ssl-ca=OURS', 'encrypted'],
    ['localhost', 'ssl-mode=VERIFY_IDENTITY&ssl-ca=OURS', 'encrypted'],
    ['127.0.0.1', 'ssl-mode=VERIFY_IDENTITY&ssl-ca=OURS', 'encrypted'],
    ['127.0.0.1', 'ssl-mode=VERIFY_CA&ssl-ca=FOREIGN', UNTRUSTED],
    ['127.0.0.1', 'ssl-mode=REQUIRED&ssl-ca=FOREIGN', UNTRUSTED],
    ['localhost', 'ssl-mode=VERIFY_IDENTITY&ssl-ca=FOREIGN', UNTRUSTED],
    ['localhost', 'ssl-mode=VERIFY_IDENTITY', UNTRUSTED],
  ])('is reached at %s with %s: %s', async (host, parameters, expected) => {
    expect(await outcome(host, parameters)).toEqual(
      typeof expected === 'string' ? expected : expect.stringMatching(expected),
    );
  });

  it('is rejected with a certificate for another name only if its identity is verified', async () => {
    install(server.folder, ['DNS:other.example', 'IP:127.0.0.2']);
    await reload();
    for (const host of ['localhost', '127.0.0.1']) {
      expect(await outcome(host, 'ssl-mode=REQUIRED')).toBe('encrypted');
      expect(await outcome(host, 'ssl-mode=VERIFY_CA&ssl-ca=OURS')).toBe('encrypted');
      expect(await outcome(host, 'ssl-mode=VERIFY_IDENTITY&ssl-ca=OURS')).toEqual(expect.stringMatching(MISNAMED));
    }
    install(server.folder, ['DNS:localhost']);
    await reload();
    expect(await outcome('localhost', 'ssl-mode=VERIFY_IDENTITY&ssl-ca=OURS')).toBe('encrypted');
    expect(await outcome('127.0.0.1', 'ssl-mode=VERIFY_IDENTITY&ssl-ca=OURS')).toEqual(expect.stringMatching(MISNAMED));
  });

  /** `encrypted`, or the code with which the connection failed. */
  async function outcome(host: string, parameters: string): Promise<string> {
    const query = parameters.replace('OURS', ours.certificate).replace('FOREIGN', foreign.certificate);
    const config = loadDatabaseConfig({ DATABASE_URL: `mysql://root@${host}:${server.port}/mysql?${query}` });
    const session = openSession(config, systemClock);
    try {
      const [[row]] = await session.query((db) => db.raw("SHOW STATUS LIKE 'Ssl_cipher'"));
      return row.Value ? 'encrypted' : 'plain text';
    } catch (error) {
      return ((error as Error).cause as Error).message;
    } finally {
      await session.close();
    }
  }

  async function reload(): Promise<void> {
    const config = loadDatabaseConfig({ DATABASE_URL: `${server.url}mysql?ssl-mode=REQUIRED` });
    const session = openSession(config, systemClock);
    await session.query((db) => db.raw(RELOAD[kind as keyof typeof RELOAD]));
    await session.close();
  }

  function install(serverFolder: string, names: string[]): void {
    const { certificate, key } = ours.issue('server', names);
    copyFileSync(ours.certificate, join(serverFolder, 'ca.pem'));
    copyFileSync(certificate, join(serverFolder, 'server.pem'));
    copyFileSync(key, join(serverFolder, 'server.key'));
    chmodSync(join(serverFolder, 'server.key'), 0o644);
  }
});
