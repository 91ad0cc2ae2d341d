import { beforeAll, beforeEach, expect, it } from '@jest/globals';
import { ConnectionReader } from '../../src/datastores/connection-reader.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { useHarness } from '../support/harness.ts';

describeEachDatabase('ConnectionReader', (createDatabase) => {
  const harness = useHarness(createDatabase, { frozen: true });
  let reader: ConnectionReader;
  const status = async (organization: string) => reader.readStatus(harness.key(organization));
  const connection = async (organization: string) => reader.readConnection(harness.key(organization));

  beforeAll(async () => {
    for (const organization of ['first', 'second', 'lost', 'ended']) await harness.connect(organization);
    await harness.deactivate('lost');
    await harness.disconnect('ended');
  });
  beforeEach(() => {
    const { session, clock } = harness.home;
    reader = new ConnectionReader({ session, clock });
    harness.queries.splice(0);
  });

  it('reads many organizations by one statement', async () => {
    const found = await Promise.all(['first', 'lost', 'ended', 'never', 'second', 'first'].map(connection));
    expect(found.map((one) => one?.organizationId)).toEqual(['first', 'lost', undefined, undefined, 'second', 'first']);
    expect(harness.queries).toHaveLength(1);
  });

  it('returns the same connection as a read that decides', async () => {
    for (const organization of ['first', 'lost', 'ended']) {
      expect(await connection(organization)).toEqual(await harness.home.tokens.findCurrent(harness.key(organization)));
    }
  });

  it('reads a status without the tokens', async () => {
    const { system, realmId, companyName, lastRefreshedAt, lastVerifiedAt, tokens } = (await connection('first')) ?? {};
    const { accessTokenExpiresAt, refreshTokenExpiresAt, authorizationExpiresAt } = tokens ?? {};
    const common = { system, realmId, companyName, lastRefreshedAt, lastVerifiedAt };
    harness.queries.splice(0);
    expect(await Promise.all([status('first'), status('lost'), status('ended')])).toEqual([
      { ...common, state: 'active', tokens: { accessTokenExpiresAt, refreshTokenExpiresAt, authorizationExpiresAt } },
      expect.objectContaining({ state: 'lost', reason: 'authorization_revoked' }),
      undefined,
    ]);
    expect(harness.queries).toEqual([expect.not.stringMatching(/access_token`|refresh_token`|\*/)]);
  });

  it('prepares few different statements, none of them for more than 64 organizations', async () => {
    const organizations = Array.from({ length: 150 }, (_, index) => `org-${index}`);
    for (const count of [1, 2, 3, 4, 5, 33, 64]) await Promise.all(organizations.slice(0, count).map(status));
    expect(parameters()).toEqual([1, 2, 4, 4, 8, 64, 64]);
    harness.queries.splice(0);
    const found = await Promise.all([...organizations, 'second'].map(status));
    expect(found.filter(Boolean)).toHaveLength(1);
    expect(parameters()).toEqual([64, 64, 32]);
  });

  it('reads each accounting system by a statement of its own', async () => {
    const found = await Promise.all([status('first'), reader.readStatus({ ...harness.key('first'), system: 'other' })]);
    expect(found).toEqual([expect.objectContaining({ state: 'active' }), undefined]);
    expect(harness.queries).toHaveLength(2);
  });

  it('rejects every read of a statement that fails', async () => {
    const { session, clock } = await harness.replica();
    const failing = new ConnectionReader({ session, clock });
    await harness.knex.schema.renameTable('oauth_tokens', 'renamed');
    try {
      const results = await Promise.allSettled(
        ['first', 'second'].map((name) => failing.readStatus(harness.key(name))),
      );
      expect(results).toEqual(
        Array(2).fill({ status: 'rejected', reason: expect.objectContaining({ code: 'service_unavailable' }) }),
      );
    } finally {
      await harness.knex.schema.renameTable('renamed', 'oauth_tokens');
    }
    expect(await failing.readStatus(harness.key('first'))).toMatchObject({ state: 'active' });
  });

  /** How many organizations each statement names. */
  function parameters(): (number | undefined)[] {
    return harness.queries.map((sql) => /in \(([^)]*)\)/.exec(sql)?.[1]?.split(',').length);
  }
});
