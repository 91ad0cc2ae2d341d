import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type MysqlConfig, parseDatabaseUrl } from '../../src/config/database-url.ts';

const PEM = rootCertificates.slice(0, 2).join('\n');
const DAMAGED = '-----BEGIN CERTIFICATE-----\ncanary\n-----END CERTIFICATE-----\n';

describe('DATABASE_URL', () => {
  let folder: string;
  let authorities: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'database-url-'));
    authorities = join(folder, 'ca.pem');
    writeFileSync(authorities, PEM);
    writeFileSync(join(folder, 'empty.pem'), '');
    writeFileSync(join(folder, 'damaged.pem'), `${PEM}\n${DAMAGED}`);
    writeFileSync(join(folder, 'cut-off.pem'), PEM.slice(0, -100));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('is parsed into every part of a server’s address', () => {
    expect(parse('mysql://user:p%40ss%25@db.example:3307/books%2F1')).toEqual({
      client: 'mysql',
      host: 'db.example',
      port: 3307,
      socket: undefined,
      user: 'user',
      password: 'p@ss%',
      name: 'books/1',
      tls: undefined,
    });
    expect(parse('mysql://root@127.0.0.1/test')).toMatchObject({
      port: 3306,
      user: 'root',
      password: '',
      name: 'test',
    });
  });

  it.each(['mysql', 'mysql2', 'mariadb', 'MySQL'])('accepts the scheme %s', (scheme) => {
    expect(parse(`${scheme}://user@db/name`)).toMatchObject({ client: 'mysql', host: 'db', name: 'name' });
  });

  it('accepts names of hosts that are not ASCII, or have an underscore', () => {
    expect(parse('mysql://user@büro_db.example/name')).toMatchObject({ host: 'büro_db.example' });
  });

  it('accepts an IPv6 address and a Unix socket', () => {
    expect(parse('mysql://user@[2001:db8::1]:3307/name')).toMatchObject({ host: '2001:db8::1', port: 3307 });
    const socket = { socket: '/run/mysqld/mysqld.sock', name: 'name', tls: undefined };
    expect(parse('mysql://user@localhost/name?socket=/run/mysqld/mysqld.sock', true)).toMatchObject(socket);
    expect(parse('mysql:///name?socket=%2Frun%2Fmysqld%2Fmysqld.sock', true)).toMatchObject(socket);
  });

  it.each([
    ['mysql://user@db/name', { verifies: 'nothing' }],
    ['mysql://user@db/name?ssl-mode=DISABLED', undefined],
    ['mysql://user@db/name?ssl-mode=REQUIRED', { verifies: 'nothing' }],
    ['mysql://user@db/name?ssl-mode=verify_ca', { verifies: 'authority', authorities: undefined }],
    ['mysql://user@db/name?ssl-mode=VERIFY_IDENTITY', { verifies: 'identity', authorities: undefined }],
    ['mysql://user@db/name?ssl-ca=CA', { verifies: 'authority', authorities: PEM }],
    ['mysql://user@db/name?ssl-mode=REQUIRED&ssl-ca=CA', { verifies: 'authority', authorities: PEM }],
    ['mysql://user@db/name?ssl-mode=VERIFY_IDENTITY&ssl-ca=CA', { verifies: 'identity', authorities: PEM }],
    ['mysql://user@127.0.0.1/name', undefined],
    ['mysql://user@[::1]/name', undefined],
    ['mysql://user@localhost/name?ssl-mode=REQUIRED', { verifies: 'nothing' }],
  ])('decides in production how the connection of %s is encrypted', (url, expected) => {
    const { tls } = parse(url.replace('CA', authorities), true);
    if (expected) expect(tls).toMatchObject(expected);
    else expect(tls).toBeUndefined();
  });

  it('does not encrypt in development unless it says so', () => {
    expect(parse('mysql://user@db/name').tls).toBeUndefined();
    expect(parse('mysql://user@db/name?ssl-mode=REQUIRED').tls).toEqual({ verifies: 'nothing' });
  });

  it.each([
    ['mysql://user:canary%zz@db/name', 'contains a % that encodes nothing: write it as %25'],
    ['mysql://user:100%canary@db/name', 'contains a % that encodes nothing: write it as %25'],
    ['mysql://user:canary#1@db/name', 'contains a #: write it as %23'],
    ['mysql://user:canary@db/name?ssl=true', /^has an unknown parameter: ssl-mode, ssl-ca, socket can be set$/],
    ['mysql://user:canary@db/name?timezone=local&ssl-mode=REQUIRED', /^has an unknown parameter/],
    ['mysql://user:canary@db/name?ssl-mode=PREFERRED', /^has an ssl-mode other than/],
    ['mysql://user:canary@db/name?ssl-mode=', 'must have ssl-mode once, with a value'],
    ['mysql://user:canary@db/name?ssl-mode=DISABLED&ssl-mode=REQUIRED', 'must have ssl-mode once, with a value'],
    ['mysql://user:canary@db/name?ssl-ca=/nowhere/ca.pem', 'has an ssl-ca that cannot be read: ENOENT'],
    ['mysql://user:canary@db/name?ssl-ca=FOLDER/empty.pem', 'has an ssl-ca without a certificate in PEM'],
    ['mysql://user:canary@db/name?ssl-ca=FOLDER/damaged.pem', 'has an ssl-ca that contains a damaged certificate'],
    ['mysql://user:canary@db/name?ssl-ca=FOLDER/cut-off.pem', 'has an ssl-ca that contains a damaged certificate'],
    ['mysql://user:canary@db/name?ssl-ca=CA&ssl-mode=DISABLED', 'has an ssl-ca, and ssl-mode=DISABLED'],
    ['mysql://user:canary@db/name?socket=/s&ssl-mode=REQUIRED', /^has a socket, which cannot be combined/],
    ['mysql://user:canary@db', /^must be mysql:/],
    ['mysql://user:canary@db/', /^must be mysql:/],
    ['mysql://user:canary@db/a/b', /^must be mysql:/],
    ['mysql://user:canary@db:0/name', /^must be mysql:/],
    ['mysql://user:canary@db:70000/name', /^must be mysql:/],
    ['mysql:///name', /^must be mysql:/],
    ['mysql://user:canary@db-1,db-2/name', /^must be mysql:/],
    ['mysql://user:canary@%2Frun%2Fmysqld.sock/name', /^must be mysql:/],
    ['mysql://user:canary@d%20b/name', /^must be mysql:/],
    ['postgres://user:canary@db/name', /^must be mysql:/],
    ['mysql:canary', /^must be mysql:/],
    ['sqlite:', /^must be mysql:/],
  ])('rejects %s, without naming its value', (url, problem) => {
    const text = url.replace('FOLDER', folder).replace('CA', authorities);
    expect(() => parseDatabaseUrl(text, true)).toThrow(problem);
    expect(() => parseDatabaseUrl(text, true)).not.toThrow(/canary/);
  });

  it('is a file of SQLite, in production only one that a restart keeps', () => {
    expect(parseDatabaseUrl('sqlite:./data/my file.db', true)).toEqual({
      client: 'sqlite',
      filename: './data/my file.db',
    });
    expect(parseDatabaseUrl('sqlite::memory:', false)).toEqual({ client: 'sqlite', filename: ':memory:' });
    expect(() => parseDatabaseUrl('sqlite::memory:', true)).toThrow('must not be sqlite::memory: in production');
  });

  function parse(url: string, production = false): MysqlConfig {
    return parseDatabaseUrl(url, production) as MysqlConfig;
  }
});
