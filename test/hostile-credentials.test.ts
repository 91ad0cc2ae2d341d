import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Fernet, InvalidFernetToken } from '../src/crypto/fernet.ts';
import { bearer, WITH_KEYS } from './support/credentials.ts';
import { createSqlite } from './support/databases.ts';
import { anyText, expectRefused, mutated, printable } from './support/hostile.ts';
import { type KeySet, startKeySet } from './support/key-set.ts';
import { PREFIX } from './support/requests.ts';
import { type Sent, send } from './support/send.ts';
import { startService, type TestService } from './support/service.ts';
import { useStage } from './support/stage.ts';

const stage = useStage(createSqlite);
let service: TestService;
let keySet: KeySet;

beforeAll(async () => {
  keySet = await startKeySet();
  const env = { ...WITH_KEYS, ...keySet.env };
  service = await startService({ databaseUrl: stage.database.url, simulator: stage.simulator, env });
});
afterAll(async () => {
  await service.close();
  await keySet.close();
  expect(service.logs.filter((line) => JSON.parse(line).level >= 50)).toEqual([]);
});

describe('hostile credentials are refused, and no fault of ours:', () => {
  it('any Authorization, whatever its scheme', async () => {
    const schemes = fc.constantFrom('Bearer ', 'bearer  ', 'Basic ', 'Bearer', '', 'Bearer a.b.');
    await expectRefused(fc.tuple(schemes, anyText), 401, ([scheme, value]) =>
      get(`${PREFIX}/status/acme`, { Authorization: `${scheme}${printable(value)}` }),
    );
  });

  it('any JWT, however much of it is right', async () => {
    const good = (await keySet.sign()).split('.');
    const json = fc.jsonValue({ maxDepth: 1 });
    const header = fc.record(
      {
        alg: fc.oneof(fc.constantFrom('ES256', 'none', 'HS256', 'EdDSA'), json),
        kid: fc.oneof(fc.constant('ES256'), json),
        crit: json,
        jwk: json,
      },
      { requiredKeys: [] },
    );
    const parts = [header, fc.object({ maxDepth: 1 }), anyText].map((part, at) =>
      fc.oneof(
        fc.constant(good[at] ?? ''),
        part.map((value) => encode(typeof value === 'string' ? value : JSON.stringify(value))),
      ),
    );
    const tokens = fc
      .tuple(...parts)
      .map((chosen) => chosen.join('.'))
      .filter((token) => token !== good.join('.'));
    await expectRefused(tokens, 401, (token) => get(`${PREFIX}/status/acme`, bearer(token)));
    await expectRefused(
      mutated(() => good.join('.')),
      401,
      (token) => get(`${PREFIX}/status/acme`, bearer(printable(token))),
    );
    expect(keySet.fetches).toBeLessThanOrEqual(2);
  });
});

describe('a Fernet token', () => {
  const fernet = new Fernet([Fernet.generateKey(), Fernet.generateKey()]);

  it('of any text is refused in one way', () => {
    fc.assert(fc.property(anyText, (value) => expectNoToken(value)));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) =>
        expectNoToken(Buffer.from([0x80, ...bytes]).toString('base64url')),
      ),
    );
  });

  it('that was changed is refused in one way', () => {
    const token = fernet.encrypt('a secret of some length');
    fc.assert(
      fc.property(
        mutated(() => token),
        (value) => expectNoToken(value),
      ),
      { numRuns: 500 },
    );
  });

  function expectNoToken(value: string): void {
    expect(() => fernet.decrypt(value)).toThrow(InvalidFernetToken);
    expect(fernet.isCurrent(value)).toBe(false);
  }
});

async function get(path: string, headers: Record<string, string>): Promise<Sent> {
  return send(service.origin, path, { headers });
}

function encode(value: string): string {
  return Buffer.from(value).toString('base64url');
}
