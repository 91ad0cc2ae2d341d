import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { loadDatabaseConfig } from '../../src/config/config.ts';
import { OAuthStateDatastore } from '../../src/datastores/oauth-state-datastore.ts';
import { migrateUp } from '../../src/db/migrations.ts';
import { openSession, type Session } from '../../src/db/session.ts';
import { describeEachDatabase } from '../support/databases.ts';
import type { TestDatabase } from '../support/own-database.ts';

describeEachDatabase('used states', (createDatabase) => {
  const expiresAt = new Date('2026-02-10T14:10:00.123Z');
  let database: TestDatabase;
  let session: Session;
  let states: OAuthStateDatastore;

  beforeAll(async () => {
    database = await createDatabase();
    session = openSession(loadDatabaseConfig({ DATABASE_URL: database.url }));
    await migrateUp(session.knex);
    states = new OAuthStateDatastore(session);
  });
  afterAll(async () => {
    await session.close();
    await database.drop();
  });

  it('are spent once', async () => {
    expect(await states.spend('once', expiresAt)).toBe(true);
    expect(await states.spend('once', expiresAt)).toBe(false);
    const row = await session.knex('oauth_states').where({ state_id: 'once' }).first();
    expect(new Date(row?.expires_at ?? 0)).toEqual(expiresAt);
  });

  it('are spent by one of ten at once', async () => {
    const spent = await Promise.all(Array.from({ length: 10 }, () => states.spend('ten', expiresAt)));
    expect(spent.filter(Boolean)).toHaveLength(1);
  });

  it('are told apart by every letter', async () => {
    expect(await states.spend('aB-_0123456789abcdefgh', expiresAt)).toBe(true);
    expect(await states.spend('ab-_0123456789abcdefgh', expiresAt)).toBe(true);
  });
});
