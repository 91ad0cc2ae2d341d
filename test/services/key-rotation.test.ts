import { expect, it } from '@jest/globals';
import { Fernet } from '../../src/crypto/fernet.ts';
import { RowDigest } from '../../src/crypto/row-digest.ts';
import { TokenCipher } from '../../src/crypto/token-cipher.ts';
import { CiphertextDatastore, type TokenTable } from '../../src/datastores/ciphertext-datastore.ts';
import { toGrantRow } from '../../src/datastores/pending-grant-row.ts';
import type { OAuthTokenRow, OAuthTokenUpdate } from '../../src/db/tables.ts';
import type { Ciphertext, NewTokenSet, OrganizationId, PlainToken, RealmId } from '../../src/models/connection.ts';
import type { PendingGrant } from '../../src/models/pending-grant.ts';
import { type RotationProgress, rotateKeys } from '../../src/services/key-rotation.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { useHarness } from '../support/harness.ts';

const [NEW_KEY, OLD_KEY, UNKNOWN_KEY] = [Fernet.generateKey(), Fernet.generateKey(), Fernet.generateKey()];
const NO_TOKENS = { access_token: '', refresh_token: '', token_digest: null } as const;
const NOW = new Date('2026-02-10T14:00:00.000Z');

describeEachDatabase('a rotation of the keys', (createDatabase) => {
  const harness = useHarness(createDatabase, { isolated: true });
  const cipher = new TokenCipher([NEW_KEY, OLD_KEY]);

  it('re-encrypts what older keys encrypted, in lost rows too, so that the old key can be removed', async () => {
    await insert('a', OLD_KEY);
    await insert('b', NEW_KEY);
    await insert('c', OLD_KEY, { is_active: 0, deactivation_reason: 'rotation_lost' });
    await insert('d', NEW_KEY);
    await set('d', bound('d', { access_token: new Fernet([OLD_KEY]).encrypt('access-d') }, NEW_KEY));
    await insert('e', OLD_KEY, { is_active: 0, deactivation_reason: 'disconnected', ...NO_TOKENS });
    const before = await rows();
    expect(await rotate()).toEqual({ read: 4, rotated: 3, unreadable: [] });
    expect(await plainTokens([NEW_KEY])).toEqual(tokensOf('a', 'b', 'c', 'd'));
    const after = await rows();
    expect(after.map(withoutTokens)).toEqual(before.map(withoutTokens));
    expect([after[1], after[4]]).toEqual([before[1], before[4]]);
  });

  it('signs again a digest that the old key signed, although the new key encrypted the tokens', async () => {
    await insert('a', NEW_KEY);
    await set('a', bound('a', {}, OLD_KEY));
    const [before] = await rows();
    expect(await rotate()).toEqual({ read: 1, rotated: 1, unreadable: [] });
    const [after] = await rows();
    expect(after).toEqual({ ...before, token_digest: expect.not.stringContaining(before?.token_digest ?? '') });
    expect(await plainTokens([NEW_KEY])).toEqual(tokensOf('a'));
  });

  it('re-encrypts the tokens of pending revocations', async () => {
    await insertRevocation('a', OLD_KEY);
    await insertRevocation('b', NEW_KEY);
    const before = await revocations();
    expect(await rotate()).toEqual({ read: 2, rotated: 1, unreadable: [] });
    const after = await revocations();
    expect(after.map(({ refresh_token }) => new Fernet([NEW_KEY]).decrypt(refresh_token))).toEqual(['a', 'b']);
    expect(after[1]).toEqual(before[1]);
  });

  it('re-encrypts the tokens of grants that are not connections yet', async () => {
    await harness.knex('pending_grants').insert(grantRow('a', OLD_KEY));
    expect(await rotate()).toEqual({ read: 1, rotated: 1, unreadable: [] });
    const [stored] = await datastore().listTokens('', 10, 'pending_grants');
    expect(stored && new TokenCipher([NEW_KEY]).decryptRefreshToken(stored, stored.tokens)).toBe('refresh-a');
    expect(await rotate()).toEqual({ read: 1, rotated: 0, unreadable: [] });
  });

  it('does nothing the second time', async () => {
    await insert('a', OLD_KEY);
    await insert('b', NEW_KEY);
    await insertRevocation('c', OLD_KEY);
    await rotate();
    const before = [await rows(), await revocations()];
    expect(await rotate()).toEqual({ read: 3, rotated: 0, unreadable: [] });
    expect([await rows(), await revocations()]).toEqual(before);
  });

  it('runs in batches, whatever characters the IDs consist of', async () => {
    const ids = Array.from({ length: 450 }, (_, index) => `${'aAzZ-_09'[index % 8]}${index}`);
    await harness.knex.batchInsert(
      'oauth_tokens',
      ids.map((id) => row(id, OLD_KEY)),
      50,
    );
    const read: number[] = [];
    expect(await rotate({ onProgress: (progress) => read.push(progress.read) })).toMatchObject({
      read: 450,
      rotated: 450,
    });
    expect(read).toEqual([200, 400, 450]);
    expect(await plainTokens([NEW_KEY])).toEqual(tokensOf(...ids));
  });

  it('continues with the remaining rows after an interruption', async () => {
    for (const id of ['a', 'b', 'c', 'd', 'e']) await insert(id, OLD_KEY);
    let replaced = 0;
    const stored = overriding({
      replaceTokens: async (...parameters) => {
        replaced += 1;
        if (replaced === 3) throw new Error('a power cut');
        return datastore().replaceTokens(...parameters);
      },
    });
    await expect(rotate({ stored })).rejects.toThrow('a power cut');
    expect(await plainTokens([NEW_KEY, OLD_KEY])).toEqual(tokensOf('a', 'b', 'c', 'd', 'e'));
    expect(await rotate()).toEqual({ read: 5, rotated: 3, unreadable: [] });
    expect(await plainTokens([NEW_KEY])).toEqual(tokensOf('a', 'b', 'c', 'd', 'e'));
  });

  it('reports the rows that no key can decrypt, leaves them as they are, and rotates the others', async () => {
    await insert('a', OLD_KEY);
    await insert('b', UNKNOWN_KEY);
    await insert('c', OLD_KEY, { refresh_token: 'no ciphertext' as Ciphertext });
    await insert('d', OLD_KEY, { access_token: '' });
    await insert('e', OLD_KEY, { token_digest: null });
    await insert('f', OLD_KEY);
    await set('f', bound('f', { refresh_token: new Fernet([UNKNOWN_KEY]).encrypt('refresh-f') }, OLD_KEY));
    await insert('g', OLD_KEY);
    await insertRevocation('h', UNKNOWN_KEY);
    await insertRevocation('i', OLD_KEY);
    const before = [...(await rows()).slice(1, 6), (await revocations())[0]];
    expect(await rotate()).toEqual({
      read: 9,
      rotated: 3,
      unreadable: [...['b', 'c', 'd', 'e', 'f'].map((id) => `oauth_tokens ${id}`), 'pending_revocations h'],
    });
    expect([...(await rows()).slice(1, 6), (await revocations())[0]]).toEqual(before);
    expect(await plainTokens([NEW_KEY])).toEqual(tokensOf('a', 'g'));
  });

  it('reports ciphertext that was copied from another row, and leaves it', async () => {
    await insert('a', OLD_KEY);
    await insert('b', OLD_KEY);
    const [a] = await rows();
    const { access_token, refresh_token, token_digest } = a ?? NO_TOKENS;
    await set('b', { access_token, refresh_token, token_digest });
    const [, before] = await rows();
    expect(await rotate()).toEqual({ read: 2, rotated: 1, unreadable: ['oauth_tokens b'] });
    expect((await rows())[1]).toEqual(before);
    expect(await plainTokens([NEW_KEY])).toEqual(tokensOf('a'));
  });

  it.each([
    ['the old key', OLD_KEY, 1],
    ['the new key', NEW_KEY, 0],
  ])('does not overwrite a row that a replica with %s refreshed after it was read', async (_, key, rotated) => {
    await insert('a', OLD_KEY);
    const fernet = new Fernet([key]);
    const refreshed = { access_token: fernet.encrypt('newer'), refresh_token: fernet.encrypt('newest') };
    const stored = overriding({
      replaceTokens: async (...parameters) => {
        if ((await rows())[0]?.generation === 0) await set('a', { generation: 1, ...bound('a', refreshed, key) });
        return datastore().replaceTokens(...parameters);
      },
    });
    expect(await rotate({ stored })).toEqual({ read: 1, rotated, unreadable: [] });
    expect(await plainTokens([NEW_KEY])).toEqual({ a: ['newer', 'newest'] });
  });

  it.each([
    ['a grant becomes a connection', 'pending_grants', 'oauth_tokens'],
    ['a connection ends and its grant is kept', 'oauth_tokens', 'pending_grants'],
  ] as const)('misses no tokens if %s, after the table was read that they are then in', async (_, from, to) => {
    await harness.knex(from).insert(from === 'oauth_tokens' ? row('a', OLD_KEY) : grantRow('a', OLD_KEY));
    const read = new Set<string>();
    const stored = overriding({
      listTokens: async (afterId, limit, table = 'oauth_tokens') => {
        if (read.has(to) && table === from) await move(from, to);
        read.add(table);
        return datastore().listTokens(afterId, limit, table);
      },
    });
    expect(await rotate({ stored })).toMatchObject({ rotated: 1, unreadable: [] });
    const [moved] = await datastore().listTokens('', 10, to);
    expect(moved && new TokenCipher([NEW_KEY]).decryptRefreshToken(moved, moved.tokens)).toBe('refresh-a');
  });

  it('does not restore the tokens of a row that was disconnected after it was read', async () => {
    await insert('a', OLD_KEY);
    const stored = overriding({
      replaceTokens: async (...parameters) => {
        await set('a', { is_active: 0, deactivation_reason: 'disconnected', generation: 1, ...NO_TOKENS });
        return datastore().replaceTokens(...parameters);
      },
    });
    expect(await rotate({ stored })).toEqual({ read: 1, rotated: 0, unreadable: [] });
    expect(await rows()).toMatchObject([NO_TOKENS]);
  });

  it('does not record a revocation again that was executed after it was read', async () => {
    await insertRevocation('a', OLD_KEY);
    const stored = overriding({
      replaceRevocation: async (...parameters) => {
        await harness.knex('pending_revocations').delete();
        return datastore().replaceRevocation(...parameters);
      },
    });
    expect(await rotate({ stored })).toEqual({ read: 1, rotated: 0, unreadable: [] });
    expect(await revocations()).toEqual([]);
  });

  interface Options {
    stored?: CiphertextDatastore;
    onProgress?: (progress: RotationProgress) => void;
  }

  async function rotate({ stored = datastore(), onProgress = () => undefined }: Options = {}) {
    return rotateKeys({ stored, cipher, onProgress });
  }

  function datastore(): CiphertextDatastore {
    return new CiphertextDatastore(harness.home.session);
  }

  /** The datastore, some of its methods replaced. */
  function overriding(methods: Partial<CiphertextDatastore>): CiphertextDatastore {
    return Object.assign(Object.create(datastore()) as CiphertextDatastore, methods);
  }

  async function insert(id: string, key: string, changes: OAuthTokenUpdate = {}): Promise<void> {
    await harness.knex('oauth_tokens').insert(row(id, key));
    await set(id, { next_maintenance_at: null, ...changes });
  }

  async function insertRevocation(id: string, key: string): Promise<void> {
    await harness.knex('pending_revocations').insert({
      revocation_id: id,
      accounting_system: 'quickbooks',
      realm_id: '1' as RealmId,
      refresh_token: new Fernet([key]).encrypt(id),
      next_attempt_at: NOW,
      created_at: NOW,
    });
  }

  /** Moves the tokens of `a` from one table to the other, if they are not there yet. */
  async function move(from: TokenTable, to: TokenTable): Promise<void> {
    const [moved] = await datastore().listTokens('', 1, from);
    if (!moved) return;
    const { accessToken, refreshToken, digest } = moved.tokens;
    const columns = { access_token: accessToken, refresh_token: refreshToken, token_digest: digest };
    await harness.knex(from).delete();
    await harness
      .knex(to)
      .insert({ ...(to === 'oauth_tokens' ? row('a', OLD_KEY) : grantRow('a', OLD_KEY)), ...columns });
  }

  async function set(id: string, changes: OAuthTokenUpdate): Promise<void> {
    await harness.knex('oauth_tokens').where('token_id', id).update(changes);
  }

  async function rows() {
    return harness.knex('oauth_tokens').orderBy('token_id');
  }

  async function revocations() {
    return harness.knex('pending_revocations').orderBy('revocation_id');
  }

  /** The tokens of each row that these keys can decrypt, by the row's ID. */
  async function plainTokens(keys: string[]): Promise<Record<string, string[]>> {
    const reader = new TokenCipher(keys);
    const stored = await datastore().listTokens('', 1_000);
    return Object.fromEntries(
      stored.flatMap((each) => {
        try {
          const { tokens } = each;
          return [[each.tokenId, [reader.decryptAccessToken(each, tokens), reader.decryptRefreshToken(each, tokens)]]];
        } catch {
          return [];
        }
      }),
    );
  }
});

/** A row whose tokens are `access-{id}` and `refresh-{id}`. */
function row(id: string, key: string) {
  const owner = ownerOf(id);
  const tokens = new TokenCipher([key]).encryptTokens(owner, newTokens(id));
  return {
    token_id: id,
    organization_id: owner.organizationId,
    accounting_system: owner.system,
    realm_id: owner.realmId,
    company_name: 'Acme',
    access_token: tokens.accessToken,
    refresh_token: tokens.refreshToken,
    token_digest: tokens.digest,
    access_token_expires_at: NOW,
    refresh_token_expires_at: NOW,
    is_refresh_expiry_assumed: 0 as const,
    authorization_expires_at: null,
    last_verified_at: NOW,
    last_intuit_tid: null,
    next_maintenance_at: null,
    created_at: NOW,
    updated_at: NOW,
  };
}

/** These ciphertexts, otherwise those that the new key encrypts, with a digest that `key` signed. */
function bound(id: string, changes: { access_token?: Ciphertext; refresh_token?: Ciphertext }, key: string) {
  const { organizationId, system, realmId } = ownerOf(id);
  const fernet = new Fernet([NEW_KEY]);
  const { access_token = fernet.encrypt(`access-${id}`), refresh_token = fernet.encrypt(`refresh-${id}`) } = changes;
  const parts = [id, organizationId, system, realmId, access_token, refresh_token];
  return { access_token, refresh_token, token_digest: new RowDigest([key]).sign(parts) };
}

function grantRow(id: string, key: string) {
  const grant: PendingGrant = {
    ...ownerOf(id),
    tokens: new TokenCipher([key]).encryptTokens(ownerOf(id), newTokens(id)),
    intuitTid: undefined,
    actor: 'billing',
    stateId: 's',
    pinnedRealmId: undefined,
    link: undefined,
    phase: 'received',
    companyName: undefined,
    verifiedAt: undefined,
    confirmableUntil: undefined,
    nextAttemptAt: NOW,
    createdAt: NOW,
  };
  return toGrantRow(grant);
}

function ownerOf(id: string) {
  const organizationId = `org-${id}` as OrganizationId;
  return { tokenId: id, organizationId, system: 'quickbooks', realmId: '1' as RealmId };
}

function newTokens(id: string): NewTokenSet {
  return {
    accessToken: `access-${id}` as PlainToken,
    accessTokenExpiresAt: NOW,
    refreshToken: `refresh-${id}` as PlainToken,
    refreshTokenExpiresAt: NOW,
    isRefreshExpiryAssumed: false,
    authorizationExpiresAt: undefined,
    intuitTid: undefined,
  };
}

function tokensOf(...ids: string[]): Record<string, string[]> {
  return Object.fromEntries(ids.map((id) => [id, [`access-${id}`, `refresh-${id}`]]));
}

function withoutTokens({ access_token: _a, refresh_token: _r, token_digest: _d, ...others }: OAuthTokenRow) {
  return others;
}
