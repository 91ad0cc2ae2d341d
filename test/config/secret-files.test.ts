import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { loadConfig, loadDatabaseConfig, loadKeysConfig } from '../../src/config/config.ts';
import { SECRETS } from '../../src/config/secret-files.ts';
import { KEY, PRODUCTION, problemsOf } from '../support/variables.ts';

const ALL: Record<string, string> = {
  ...PRODUCTION,
  AUTH_DISABLED: 'false',
  API_KEYS: `billing:${'k'.repeat(32)}`,
  REDIS_URL: 'redis://:pa55word@redis:6379/1',
  EVENTS_WEBHOOK_URL: 'https://app.octup.com/events',
  EVENTS_WEBHOOK_SECRET: `whsec_${KEY.replaceAll('-', '+').replaceAll('_', '/')}`,
};

describe('a secret in a file', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'secrets-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('may have quotation marks around it', () => {
    const others = { ...ALL, ENCRYPTION_KEY: undefined };
    expect(loadConfig({ ...others, ENCRYPTION_KEY_FILE: file('quoted', `"${KEY}"\n`) })).toEqual(loadConfig(ALL));
  });

  it.each(['\n', '\r\n', '', ' \n\n'])('is read without the %j at the end of the file, for every secret', (end) => {
    const files = SECRETS.map((name) => [`${name}_FILE`, file(name, `${ALL[name]}${end}`)]);
    const others = Object.entries(ALL).filter(([name]) => !(SECRETS as readonly string[]).includes(name));
    expect(loadConfig(Object.fromEntries([...others, ...files]))).toEqual(loadConfig(ALL));
  });

  it.each(SECRETS)('prevents startup if %s is set as well, without quoting either', (name) => {
    expect(problemsOf({ ...ALL, [`${name}_FILE`]: file('canary', `${ALL[name]}`) })).toEqual([
      `${name} must not be set as well (${name}_FILE is set)`,
    ]);
  });

  it.each([
    ['does not exist', () => join(folder, 'canary-missing'), 'cannot be read from its file: ENOENT'],
    ['is a folder', () => folder, 'cannot be read from its file: EISDIR'],
    ['is empty', () => file('canary-empty', '\n'), 'is missing in its file, which is empty'],
    ['has only quotation marks', () => file('canary-quotes', ' ""\n'), 'is missing in its file, which is empty'],
    ['is binary', () => file('canary', Buffer.from([0xff, 0xfe, 1])), 'cannot be read from its file: not UTF-8 text'],
  ])('prevents startup with one line for each secret if the file %s', (_, path, problem) => {
    for (const name of SECRETS) {
      expect(problemsOf({ ...ALL, [name]: undefined, [`${name}_FILE`]: path() })).toEqual([
        `${name} ${problem} (${name}_FILE is set)`,
      ]);
    }
  });

  it('is validated as the variable is', () => {
    expect(problemsOf({ ...ALL, ENCRYPTION_KEY: undefined, ENCRYPTION_KEY_FILE: file('key', 'canary') })).toEqual([
      expect.stringMatching(/^ENCRYPTION_KEY must be a Fernet key/),
    ]);
  });

  it('is not read by commands that do not need it', () => {
    const DATABASE_URL_FILE = file('database', `${ALL['DATABASE_URL']}\n`);
    const environment = { DATABASE_URL_FILE, REDIS_URL_FILE: '/nowhere' };
    expect(loadDatabaseConfig(environment)).toMatchObject({ name: 'accounting', password: 'pa55word' });
    expect(loadKeysConfig({ ...environment, ENCRYPTION_KEY: KEY })).toMatchObject({ encryptionKeys: [KEY] });
    expect(() => loadDatabaseConfig({ DATABASE_URL_FILE: '/nowhere' })).toThrow(
      'DATABASE_URL cannot be read from its file: ENOENT (DATABASE_URL_FILE is set)',
    );
  });

  it('is only read for secrets: a misspelled name prevents startup', () => {
    expect(problemsOf({ ...ALL, QBO_CLIENT_ID_FILE: '/nowhere' })).toEqual([
      expect.stringMatching(/^QBO_CLIENT_ID_FILE is not a variable of this service/),
    ]);
  });

  function file(name: string, content: string | Buffer): string {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  }
});
