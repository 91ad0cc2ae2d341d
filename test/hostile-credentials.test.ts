import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Fernet, InvalidFernetToken } from '../src/crypto/fernet.ts';
import { bearer, WITH_KEYS } from './support/credentials.ts';
import { createSqlite } from './support/databases.ts';
import { useHarness } from './support/harness.ts';
import { anyText, expectRejected, mutated, printable } from './support/hostile.ts';
import { type KeySet, startKeySet } from './support/key-set.ts';
import { PREFIX } from './support/requests.ts';
import { type Sent, send } from './support/send.ts';

describe('a service that accepts API keys and JWTs', () => {
  const env: Record<string, string> = { ...WITH_KEYS };
  let keySet: KeySet;
  beforeAll(async () => {
    keySet = await startKeySet();
    Object.assign(env, keySet.env);
  });
  const harness = useHarness(createSqlite, { env });
  afterAll(async () => {
    await keySet.close();
    expect(harness.logs.filter((line) => JSON.parse(line).level >= 50)).toEqual([]);
  });

  it('rejects any other Authorization header, whatever its scheme', async () => {
    const schemes = fc.constantFrom('Bearer ', 'bearer  ', 'Basic ', 'Bearer', '', 'Bearer a.b.');
    await expectRejected(fc.tuple(schemes, anyText), 401, ([scheme, value]) =>
      status({ Authorization: `${scheme}${printable(value)}` }),
    );
  });

  it('rejects any other JWT, however much of it is valid', async () => {
    const valid = (await keySet.sign()).split('.');
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
    const parts = [header, fc.object({ maxDepth: 1 }), anyText].map((part, index) =>
      fc.oneof(
        fc.constant(valid[index] ?? ''),
        part.map((value) => encode(typeof value === 'string' ? value : JSON.stringify(value))),
      ),
    );
    const tokens = fc
      .tuple(...parts)
      .map((chosen) => chosen.join('.'))
      .filter((token) => token !== valid.join('.'));
    await expectRejected(tokens, 401, (token) => status(bearer(token)));
    const changed = mutated(() => valid.join('.'));
    await expectRejected(changed, 401, (token) => status(bearer(printable(token))));
    expect(keySet.fetches).toBeLessThan(20); // not once for each unknown key ID
  });

  function status(headers: Record<string, string>): Promise<Sent> {
    return send(harness.service.origin, `${PREFIX}/status/acme`, { headers });
  }
});

describe('Fernet', () => {
  const fernet = new Fernet([Fernet.generateKey(), Fernet.generateKey()]);

  it('rejects any text with the same error', () => {
    fc.assert(fc.property(anyText, (value) => expectInvalid(value)));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) =>
        expectInvalid(Buffer.from([0x80, ...bytes]).toString('base64url')),
      ),
    );
  });

  it('rejects a token that was changed with the same error', () => {
    const token = fernet.encrypt('a secret of some length');
    const changed = mutated(() => token);
    fc.assert(
      fc.property(changed, (value) => expectInvalid(value)),
      { numRuns: 500 },
    );
  });

  function expectInvalid(value: string): void {
    expect(() => fernet.decrypt(value)).toThrow(InvalidFernetToken);
    expect(fernet.isCurrent(value)).toBe(false);
  }
});

function encode(value: string): string {
  return Buffer.from(value).toString('base64url');
}
