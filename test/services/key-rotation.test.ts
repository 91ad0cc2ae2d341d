import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { Knex } from 'knex';
import { Fernet } from '../../src/crypto/fernet.ts';
import { CiphertextDatastore } from '../../src/datastores/ciphertext-datastore.ts';
import { Session } from '../../src/db/session.ts';
import type { OAuthTokenRow } from '../../src/db/tables.ts';
import { rotateKeys } from '../../src/services/key-rotation.ts';
import { describeEachDatabase } from '../support/databases.ts';
import type { TestDatabase } from '../support/own-database.ts';
import { NEW_KEY, OLD_KEY, openMigrated, openRows, STRANGE_KEY, sealedRow } from '../support/sealed-rows.ts';

describeEachDatabase('a rotation of the keys', (createDatabase, kind) => {
  const fernet = new Fernet([NEW_KEY, OLD_KEY]);
  let database: TestDatabase;
  let knex: Knex;
  let stored: CiphertextDatastore;
  const rotate = () => rotateKeys(stored, fernet, () => undefined);
  const insert = (...rows: object[]) => knex.batchInsert('oauth_tokens', rows, 50);

  beforeAll(async () => {
    database = await createDatabase();
    knex = await openMigrated(database.url);
    const session = new Session(knex, kind === 'SQLite' ? 'sqlite' : 'mysql');
    stored = new CiphertextDatastore(session);
  });
  beforeEach(() => knex('oauth_tokens').delete());
  afterAll(async () => {
    await knex.destroy();
    await database.drop();
  });

  it('re-encrypts what older keys wrote, lost rows too, and counts it; then the old key can go', async () => {
    await insert(
      sealedRow('a', OLD_KEY),
      sealedRow('b', NEW_KEY),
      sealedRow('c', OLD_KEY, { is_active: 0, deactivation_reason: 'rotation_lost' }),
      sealedRow('d', NEW_KEY, { access_token: new Fernet([OLD_KEY]).encrypt('access-d') }),
      sealedRow('e', OLD_KEY, {
        is_active: 0,
        deactivation_reason: 'disconnected',
        access_token: '',
        refresh_token: '',
      }),
    );
    const before = await knex('oauth_tokens').orderBy('token_id');
    expect(await rotate()).toEqual({ read: 4, rotated: 3, unreadable: [] });
    const tokens = Object.fromEntries(['a', 'b', 'c', 'd'].map((id) => [id, [`access-${id}`, `refresh-${id}`]]));
    expect(await openRows(knex, [NEW_KEY])).toEqual(tokens);
    const after = await knex('oauth_tokens').orderBy('token_id');
    expect(after.map(withoutTokens)).toEqual(before.map(withoutTokens));
    expect([after[1], after[4]]).toEqual([before[1], before[4]]); // untouched, to the last byte
  });

  it('has nothing to do a second time, and changes nothing then', async () => {
    await insert(sealedRow('a', OLD_KEY), sealedRow('b', NEW_KEY));
    await rotate();
    const before = await knex('oauth_tokens').orderBy('token_id');
    expect(await rotate()).toEqual({ read: 2, rotated: 0, unreadable: [] });
    expect(await knex('oauth_tokens').orderBy('token_id')).toEqual(before);
  });

  it('goes through many batches, whatever the letters of the ids', async () => {
    const ids = Array.from({ length: 450 }, (_, at) => `${'aAzZ-_09'[at % 8]}${at}`);
    await insert(...ids.map((id) => sealedRow(id, OLD_KEY)));
    const told: number[] = [];
    expect(await rotateKeys(stored, fernet, ({ read }) => told.push(read))).toMatchObject({ read: 450, rotated: 450 });
    expect(told).toEqual([200, 400, 450]);
    expect(Object.values(await openRows(knex, [NEW_KEY])).every(Boolean)).toBe(true);
  });

  it('that was interrupted goes on with what is left', async () => {
    await insert(...['a', 'b', 'c', 'd', 'e'].map((id) => sealedRow(id, OLD_KEY)));
    let replaced = 0;
    const breaking = overriding(stored, {
      replace: async (...row) => {
        replaced += 1;
        if (replaced === 3) throw new Error('the power went');
        return stored.replace(...row);
      },
    });
    await expect(rotateKeys(breaking, fernet, () => undefined)).rejects.toThrow('the power went');
    expect(Object.values(await openRows(knex, [NEW_KEY, OLD_KEY])).every(Boolean)).toBe(true);
    expect(await rotate()).toEqual({ read: 5, rotated: 3, unreadable: [] });
    expect(Object.values(await openRows(knex, [NEW_KEY])).every(Boolean)).toBe(true);
  });

  it('names the rows that no key opens, leaves them as they are and does the others', async () => {
    await insert(
      sealedRow('a', OLD_KEY),
      sealedRow('b', STRANGE_KEY),
      sealedRow('c', OLD_KEY, { refresh_token: 'no token' }),
      sealedRow('d', OLD_KEY, { access_token: '' }),
      sealedRow('e', OLD_KEY),
    );
    const before = await knex('oauth_tokens').whereIn('token_id', ['b', 'c', 'd']).orderBy('token_id');
    expect(await rotate()).toEqual({
      read: 5,
      rotated: 2,
      unreadable: ['b', 'c', 'd'].map((id) => `oauth_tokens ${id}`),
    });
    expect(await knex('oauth_tokens').whereIn('token_id', ['b', 'c', 'd']).orderBy('token_id')).toEqual(before);
    expect(await openRows(knex, [NEW_KEY])).toMatchObject({ a: expect.anything(), e: expect.anything() });
  });

  it.each([
    ['refreshed by a replica with the old key', { key: OLD_KEY, generation: 1, rotated: 1 }],
    ['refreshed by a replica with the new key', { key: NEW_KEY, generation: 1, rotated: 0 }],
  ])('does not overwrite a row that was %s between reading and writing', async (_, { key, generation, rotated }) => {
    await insert(sealedRow('a', OLD_KEY));
    const tokens = {
      access_token: new Fernet([key]).encrypt('newer'),
      refresh_token: new Fernet([key]).encrypt('newest'),
    };
    let isFirst = true;
    const meanwhile = overriding(stored, {
      replace: async (...row) => {
        if (isFirst)
          await knex('oauth_tokens')
            .where('token_id', 'a')
            .update({ ...tokens, generation });
        isFirst = false;
        return stored.replace(...row);
      },
    });
    expect(await rotateKeys(meanwhile, fernet, () => undefined)).toEqual({ read: 1, rotated, unreadable: [] });
    expect(await openRows(knex, [NEW_KEY])).toEqual({ a: ['newer', 'newest'] });
  });

  it('does not revive the tokens of a row that was disconnected between reading and writing', async () => {
    await insert(sealedRow('a', OLD_KEY));
    const meanwhile = overriding(stored, {
      replace: async (...row) => {
        const ended = { is_active: 0 as const, deactivation_reason: 'disconnected' as const, generation: 1 };
        await knex('oauth_tokens')
          .where('token_id', 'a')
          .update({ ...ended, access_token: '', refresh_token: '' } as object);
        return stored.replace(...row);
      },
    });
    expect(await rotateKeys(meanwhile, fernet, () => undefined)).toEqual({ read: 1, rotated: 0, unreadable: [] });
    expect(await knex('oauth_tokens').first('access_token', 'refresh_token')).toEqual({
      access_token: '',
      refresh_token: '',
    });
  });
});

/** The datastore, some of its methods replaced. */
function overriding(stored: CiphertextDatastore, methods: Partial<CiphertextDatastore>): CiphertextDatastore {
  return Object.assign(Object.create(stored) as CiphertextDatastore, methods);
}

function withoutTokens(row: OAuthTokenRow) {
  const { access_token: _a, refresh_token: _r, updated_at: _u, ...rest } = row;
  return rest;
}
