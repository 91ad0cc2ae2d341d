import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { loadDatabaseConfig } from '../../src/config/config.ts';
import type { OAuthTokenDatastore } from '../../src/datastores/oauth-token-datastore.ts';
import { migrateUp } from '../../src/db/migrations.ts';
import { openSession, type Session } from '../../src/db/session.ts';
import type { Ciphertext, Connection, NewConnection } from '../../src/models/connection.ts';
import { describeEachDatabase } from '../support/databases.ts';
import type { TestDatabase } from '../support/own-database.ts';
import { rowOf } from '../support/rows.ts';
import { openTokens } from '../support/token-datastore.ts';

const NOW = new Date('2026-02-10T14:00:00.123Z');

describeEachDatabase('stored connections', (createDatabase) => {
  let database: TestDatabase;
  let session: Session;
  let now: Date;
  let tokens: OAuthTokenDatastore;

  beforeAll(async () => {
    database = await createDatabase();
    session = openSession(loadDatabaseConfig({ DATABASE_URL: database.url }));
    await migrateUp(session.knex);
    tokens = openTokens(session, () => now);
  });
  beforeEach(async () => {
    now = NOW;
    await session.knex('oauth_tokens').delete();
  });
  afterAll(async () => {
    await session.close();
    await database.drop();
  });

  /** What was replaced, as it was. */
  async function replace(connection: NewConnection): Promise<Connection | undefined> {
    const before = await tokens.findCurrent(connection.organizationId, 'quickbooks');
    await tokens.replaceActive(connection, 'somebody');
    return before;
  }

  async function disconnect(organizationId: string): Promise<Connection | undefined> {
    const before = await tokens.findCurrent(organizationId, 'quickbooks');
    await tokens.disconnect(organizationId, 'quickbooks', 'somebody');
    return before;
  }

  it('come back as they were stored', async () => {
    expect(await replace(connectionOf())).toBeUndefined();
    const { intuitTid, ...stored } = connectionOf();
    expect(await tokens.findCurrent('acme', 'quickbooks')).toMatchObject({
      ...stored,
      tokenId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      isActive: true,
      lossReason: undefined,
      generation: 0,
      lastRefreshedAt: undefined,
    });
    expect(await session.knex('oauth_tokens').first()).toMatchObject({ last_intuit_tid: intuitTid });
  });

  it('may do without what the provider may leave out', async () => {
    await replace(connectionOf({ companyName: undefined, refreshTokenHardExpiresAt: undefined, intuitTid: undefined }));
    expect(await tokens.findCurrent('acme', 'quickbooks')).toMatchObject({
      companyName: undefined,
      refreshTokenHardExpiresAt: undefined,
    });
  });

  it('are replaced by the next one, and answered as they were', async () => {
    await replace(connectionOf());
    const before = await tokens.findCurrent('acme', 'quickbooks');
    now = new Date(NOW.getTime() + 5000);
    expect(await replace(connectionOf({ realmId: '2' }))).toEqual(before);
    const rows = await session.knex('oauth_tokens').orderBy('created_at');
    expect(rows).toMatchObject([
      {
        is_active: 0,
        realm_id: '1',
        deactivation_reason: 'replaced',
        access_token: '',
        refresh_token: '',
        generation: 1,
      },
      { is_active: 1, realm_id: '2', deactivation_reason: null, deactivated_at: null, generation: 0 },
    ]);
    const [ended] = rows;
    expect([ended?.created_at, ended?.deactivated_at, ended?.updated_at].map((at) => new Date(at ?? 0))).toEqual([
      NOW,
      now,
      now,
    ]);
  });

  it('are ended by a disconnect, once', async () => {
    await replace(connectionOf());
    expect(await disconnect('acme')).toMatchObject({
      realmId: '1',
      refreshToken: 'sealed refresh token',
    });
    expect(await disconnect('acme')).toBeUndefined();
    expect(await tokens.findCurrent('acme', 'quickbooks')).toBeUndefined();
  });

  it('stay as they are where storing the next one fails', async () => {
    await replace(connectionOf());
    const before = await session.knex('oauth_tokens');
    const impossible = connectionOf({ accessToken: null as unknown as Ciphertext });
    const error = await replace(impossible).catch((thrown) => thrown);
    expect(error).toMatchObject({ name: 'DatabaseError' });
    expect(`${error.stack}${JSON.stringify(error)}`).not.toContain('sealed');
    expect(await session.knex('oauth_tokens')).toEqual(before);
  });

  it('hold full-length identifiers and tokens', async () => {
    const long = { organizationId: 'x'.repeat(36), realmId: '9'.repeat(32), companyName: '😀'.repeat(127) };
    const accessToken = 'a'.repeat(22_000) as Ciphertext;
    await replace(connectionOf({ ...long, accessToken }));
    expect(await tokens.findCurrent(long.organizationId, 'quickbooks')).toMatchObject({ ...long, accessToken });
  });

  it.each(['authorization_revoked', 'rotation_lost', 'refresh_token_expired'] as const)(
    'are still found when lost by %s, and can be replaced or disconnected',
    async (deactivation_reason) => {
      await session.knex('oauth_tokens').insert(rowOf({ is_active: 0, deactivation_reason }));
      const lost = { isActive: false, lossReason: deactivation_reason };
      expect(await tokens.findCurrent('acme', 'quickbooks')).toMatchObject(lost);
      expect(await tokens.isCompanyConnected('1', 'quickbooks')).toBe(false);
      expect(await replace(connectionOf())).toMatchObject(lost);
      expect(await disconnect('acme')).toMatchObject({ isActive: true });
    },
  );

  it('tell whether anybody’s active one uses a company', async () => {
    await replace(connectionOf({ organizationId: 'one', realmId: '7' }));
    await replace(connectionOf({ organizationId: 'two', realmId: '7' }));
    await disconnect('one');
    expect(await tokens.isCompanyConnected('7', 'quickbooks')).toBe(true);
    await disconnect('two');
    expect(await tokens.isCompanyConnected('7', 'quickbooks')).toBe(false);
    expect(await tokens.isCompanyConnected('70', 'quickbooks')).toBe(false);
  });

  it('are one for an organization whatever happens at once', async () => {
    const work = Array.from({ length: 20 }, (_, index) =>
      index % 4 === 3
        ? tokens.disconnect('acme', 'quickbooks', 'somebody')
        : tokens.replaceActive(connectionOf({ realmId: String(index) }), 'somebody'),
    );
    const ended = (await Promise.all(work)).flatMap((revocation) => revocation?.realmId ?? []);
    const current = await tokens.findCurrent('acme', 'quickbooks');
    const all = [...ended, ...(current ? [current.realmId] : [])].map(Number).sort((a, b) => a - b);
    expect(all).toEqual([0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 16, 17, 18]); // each ended by one, none forgotten
  });
});

function connectionOf(changes: Partial<NewConnection> = {}): NewConnection {
  return {
    tokenId: randomUUID(),
    organizationId: 'acme',
    system: 'quickbooks',
    realmId: '1',
    companyName: 'Ünï 漢字 😀',
    accessToken: 'sealed access token' as Ciphertext,
    refreshToken: 'sealed refresh token' as Ciphertext,
    accessTokenExpiresAt: new Date('2026-02-10T15:00:00.456Z'),
    refreshTokenExpiresAt: new Date('2026-05-21T14:00:00.789Z'),
    refreshTokenHardExpiresAt: new Date('2031-02-10T14:00:00.001Z'),
    intuitTid: '1-tid',
    ...changes,
  };
}
