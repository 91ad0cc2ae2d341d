import { writeFileSync } from 'node:fs';
import { expect, it } from '@jest/globals';
import { CommandError } from '../../src/commands/command-error.ts';
import { readImportFile } from '../../src/commands/connections/import-file.ts';
import { TokenCipher } from '../../src/crypto/token-cipher.ts';
import type { PlainToken } from '../../src/models/connection.ts';
import { ENCRYPTION_KEY } from '../support/environment.ts';
import { useImportFile } from '../support/imports.ts';

const HEADER = 'organization_id,realm_id,refresh_token\n';
const OTHER_KEY = `${'A'.repeat(43)}=`;
const cipher = new TokenCipher([ENCRYPTION_KEY]);
const { file } = useImportFile();

function read(content: string | Buffer) {
  writeFileSync(file, content);
  return readImportFile(file, cipher);
}

function entry(line: number, changes: object = {}) {
  return { line, organizationId: 'acme', realmId: '1', refreshToken: 'AB11secret', ...changes };
}

it.each([
  ['JSON Lines', '{"organization_id":"acme","realm_id":"1","refresh_token":"AB11secret"}\n', 1],
  ['JSON Lines after empty ones', '\n\n {"organization_id":"acme","realm_id":"1","refresh_token":"AB11secret"}', 3],
  ['CSV', `${HEADER}acme,1,AB11secret\n`, 2],
  [
    'CSV with semicolons, a byte order mark and CRLF',
    `\ufeff${HEADER}acme,1,AB11secret\n`.replaceAll(',', ';').replaceAll('\n', '\r\n'),
    2,
  ],
  ['CSV with tabs and without a last line feed', `${HEADER}acme,1,AB11secret`.replaceAll(',', '\t'), 2],
  ['CSV with its columns in another order', 'Refresh_Token, REALM_ID, x, organization_id\nAB11secret,1,,acme\n', 2],
  ['CSV with quotes', `${HEADER}"acme","1","AB11secret"\n`, 2],
  [
    'CSV with another delimiter in a value',
    'organization_id,realm_id,x,refresh_token\nacme,1,Smith; Sons,AB11secret\n',
    2,
  ],
  [
    'CSV with another delimiter in its header',
    '"Name, legal";organization_id;realm_id;refresh_token\nAcme;acme;1;AB11secret\n',
    2,
  ],
  ['CSV without the values of its last columns', 'organization_id,realm_id,refresh_token,x,y\nacme,1,AB11secret\n', 2],
])('reads %s', (_, content, line) => {
  expect(read(content)).toEqual({ entries: [entry(line)], failed: [] });
});

it.each([
  ['without a header', 'acme,1,AB11secret\n', 'no header line with organization_id and realm_id and refresh_token.'],
  ['with a part of one', 'organization_id,realm_id\nacme,1\n', 'no header line with refresh_token.'],
  ['that is not finished', `${HEADER}acme,1,"AB11secret\n`, 'is not valid CSV: CSV_QUOTE_NOT_CLOSED in line'],
  ['that is not UTF-8', Buffer.from([0x7b, 0xff, 0xfe]), 'is not UTF-8 text.'],
])('rejects a file %s, without its tokens', (_, content, message) => {
  let error: unknown;
  try {
    read(content);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(CommandError);
  expect((error as CommandError).message).toContain(message);
  expect((error as CommandError).message).not.toContain('AB11');
});

it('rejects a line with more fields than the header, since a token may be in any of them', () => {
  const header = 'organization_id,realm_id,x,refresh_token\n';
  expect(read(`${header}acme,1,Smith, Sons,AB11secret\nb,2,x,AB12\n`)).toEqual({
    entries: [{ line: 3, organizationId: 'b', realmId: '2', refreshToken: 'AB12' }],
    failed: [{ line: 2, reason: 'invalid: it has more fields than the header' }],
  });
});

it('reports lines that are not valid, with the identifiers that are, and reads the others', () => {
  const lines = [
    { organization_id: 'acme', realm_id: '1', refresh_token: 'AB11secret' },
    { organization_id: 'AB11secret in the wrong column', realm_id: '2', refresh_token: 'x' },
    { organization_id: 'number', realm_id: 3, refresh_token: 'x' },
    { organization_id: 'none', realm_id: '4' },
    ['AB11array'],
  ];
  const { entries, failed } = read(
    `${lines.map((line) => JSON.stringify(line)).join('\n')}\n{"refresh_token": "AB11\n`,
  );
  expect(entries).toEqual([entry(1)]);
  expect(failed).toEqual([
    { line: 2, realmId: '2', reason: expect.stringMatching(/^invalid: organization_id /) },
    { line: 3, organizationId: 'number', reason: expect.stringMatching(/^invalid: realm_id /) },
    { line: 4, organizationId: 'none', realmId: '4', reason: expect.stringMatching(/^invalid: refresh_token /) },
    { line: 5, reason: 'invalid: it is not a JSON object' },
    { line: 6, reason: 'invalid: it is not a JSON object' },
  ]);
  expect(JSON.stringify(failed)).not.toContain('AB11');
});

it('reports an organization or a token that an earlier line has', () => {
  const { entries, failed } = read(
    `${HEADER}acme,1,AB11secret\nacme,2,AB11other\nglobex,3,AB11secret\nglobex,3,AB11own\n`,
  );
  expect(entries).toEqual([entry(2), entry(5, { organizationId: 'globex', realmId: '3', refreshToken: 'AB11own' })]);
  expect(failed).toEqual([
    { line: 3, organizationId: 'acme', realmId: '2', reason: 'invalid: organization_id is the same as in line 2' },
    { line: 4, organizationId: 'globex', realmId: '3', reason: 'invalid: refresh_token is the same as in line 2' },
  ]);
});

it('decrypts a Fernet token under its own key, and reports one under another', () => {
  const [own, other] = [cipher, new TokenCipher([OTHER_KEY])].map((each) => each.encrypt('AB11secret' as PlainToken));
  const { entries, failed } = read(`${HEADER}acme,1,${own}\nglobex,2,${other}\n`);
  expect(entries).toEqual([entry(2)]);
  expect(failed).toMatchObject([
    { line: 3, reason: 'invalid: refresh_token is a Fernet token that ENCRYPTION_KEY cannot decrypt' },
  ]);
});
