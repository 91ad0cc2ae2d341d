import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { InvalidFernetToken } from '../../src/crypto/fernet.ts';
import { TokenBindingError } from '../../src/crypto/token-cipher.ts';
import { unavailable } from '../../src/db/database-errors.ts';
import { AppError } from '../../src/errors.ts';
import { startupFailure } from '../../src/lifecycle/startup-failure.ts';

describe('a process that cannot start', () => {
  it('reports a folder without permission, with its owner and the user of this process', () => {
    const folder = mkdtempSync(join(tmpdir(), 'startup-failure-'));
    const error = Object.assign(new Error('denied'), { code: 'EACCES', path: join(folder, 'data/dev.db') });
    const user = process.getuid?.();
    expect(startupFailure(error)).toBe(
      `No permission to use ${error.path}: ${folder} belongs to user ID ${user}, and this process runs as user ID ${user}.`,
    );
    rmdirSync(folder);
  });

  it.each([
    ['ECONNREFUSED', 'The database cannot be reached: nothing listens at its address. See DATABASE_URL.'],
    ['ER_ACCESS_DENIED_ERROR', 'The database server rejects this user or password. See DATABASE_URL.'],
    ['ER_NO_SUCH_TABLE', 'The database is not migrated: run `npm run migrate`. See DATABASE_URL.'],
    [
      'HANDSHAKE_SSL_ERROR',
      "The database server's certificate is not accepted: ssl-mode and ssl-ca decide which are. See DATABASE_URL.",
    ],
    [
      'SQLITE_READONLY_DBMOVED',
      'The database file or its folder cannot be opened and written by the user of this process. See DATABASE_URL.',
    ],
    ['ER_TABLESPACE_MISSING', 'The database returned an error: ER_TABLESPACE_MISSING. See DATABASE_URL.'],
  ])('reports %s of the database in one line that says what to do', (code, line) => {
    expect(startupFailure(Object.assign(new Error('driver'), { code }))).toBe(line);
    expect(startupFailure(unavailable({ code }))).toBe(line);
  });

  it('reports a migration that another process runs, and the remedy if none does', () => {
    expect(startupFailure(Object.assign(new Error(), { name: 'MigrationLocked' }))).toMatch(
      /^Another migration is running\..*`npm run migrate:unlock`\.$/,
    );
  });

  it('reports damaged tokens in one line', () => {
    for (const error of [new TokenBindingError(), new InvalidFernetToken()]) {
      expect(startupFailure(error)).toMatch(/^The stored tokens are damaged: .*$/);
    }
  });

  it('reports an error of the service by its text, and an unknown one with its stack', () => {
    expect(startupFailure(new AppError('service_unavailable', { detail: 'Not now.' }))).toBe('Not now.');
    expect(startupFailure(new TypeError('unexpected'))).toMatch(/^TypeError: unexpected\n {4}at /);
  });
});
