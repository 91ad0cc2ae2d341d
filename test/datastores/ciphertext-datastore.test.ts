import { beforeEach, expect, it } from '@jest/globals';
import type { BoundTokens } from '../../src/crypto/token-cipher.ts';
import { CiphertextDatastore, type StoredTokens } from '../../src/datastores/ciphertext-datastore.ts';
import type { Ciphertext } from '../../src/models/connection.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { encryptedRow, NEW_KEY } from '../support/encrypted-rows.ts';
import { useHarness } from '../support/harness.ts';

const NO_TOKENS = { access_token: '', refresh_token: '', token_digest: null };
const ROTATED: BoundTokens = {
  accessToken: 'rotated access' as Ciphertext,
  refreshToken: 'rotated refresh' as Ciphertext,
  digest: 'r'.repeat(43),
};

describeEachDatabase('CiphertextDatastore', (createDatabase) => {
  const harness = useHarness(createDatabase, { frozen: true, isolated: true });
  const stored = () => new CiphertextDatastore(harness.home.session);

  beforeEach(async () => {
    await harness
      .knex('oauth_tokens')
      .insert([
        encryptedRow('b', NEW_KEY),
        encryptedRow('a', NEW_KEY),
        encryptedRow('lost', NEW_KEY, { is_active: 0, deactivation_reason: 'rotation_lost' }),
        encryptedRow('ended', NEW_KEY, { is_active: 0, deactivation_reason: 'disconnected', ...NO_TOKENS }),
        encryptedRow('purged', NEW_KEY, { is_active: 0, deactivation_reason: 'rotation_lost', ...NO_TOKENS }),
      ]);
    for (const id of ['y', 'x']) {
      await harness.knex('pending_revocations').insert({
        revocation_id: id,
        accounting_system: 'quickbooks',
        realm_id: null,
        refresh_token: `ciphertext ${id}` as Ciphertext,
        next_attempt_at: harness.clock.now(),
        created_at: harness.clock.now(),
      });
    }
  });

  it('counts the rows that contain ciphertext', async () => {
    expect(await stored().count()).toBe(5);
  });

  it('lists the tokens of every row that has any, whatever its state, page by page', async () => {
    const ids = async (afterId: string, limit: number) =>
      (await stored().listTokens(afterId, limit)).map(({ tokenId }) => tokenId);
    expect(await ids('', 2)).toEqual(['a', 'b']);
    expect(await ids('b', 2)).toEqual(['lost']);
    expect(await ids('lost', 2)).toEqual([]);
  });

  it('returns a row’s tokens with everything that they are bound to', async () => {
    const tokens = await findTokens('a');
    expect(tokens).toMatchObject({ tokenId: 'a', organizationId: 'org-a', system: 'quickbooks', realmId: '1' });
    expect([...(await stored().listTokens('', 1))]).toEqual([tokens]);
    for (const id of ['ended', 'purged', 'unknown']) expect(await stored().findTokens(id)).toBeUndefined();
  });

  it('replaces a row’s tokens and nothing else', async () => {
    const before = await harness.knex('oauth_tokens').orderBy('token_id');
    expect(await stored().replaceTokens(await findTokens('a'), ROTATED)).toBe(true);
    const after = await harness.knex('oauth_tokens').orderBy('token_id');
    const columns = { access_token: 'rotated access', refresh_token: 'rotated refresh', token_digest: ROTATED.digest };
    expect(after).toEqual(before.map((row) => (row.token_id === 'a' ? { ...row, ...columns } : row)));
  });

  it.each([
    ['access token was replaced', { access_token: 'newer' as Ciphertext }],
    ['refresh token was replaced', { refresh_token: 'newer' as Ciphertext }],
    ['tokens were deleted', { access_token: '', refresh_token: '', token_digest: null }],
  ] as const)('does not replace tokens if the %s since they were read', async (_, changes) => {
    const tokens = await findTokens('a');
    await harness.knex('oauth_tokens').where('token_id', 'a').update(changes);
    const before = await harness.knex('oauth_tokens').orderBy('token_id');
    expect(await stored().replaceTokens(tokens, ROTATED)).toBe(false);
    expect(await harness.knex('oauth_tokens').orderBy('token_id')).toEqual(before);
  });

  it('lists and returns the tokens of pending revocations', async () => {
    const [x, y] = ['x', 'y'].map((id) => ({ revocationId: id, refreshToken: `ciphertext ${id}` }));
    expect(await stored().listRevocations('', 1)).toEqual([x]);
    expect(await stored().listRevocations('x', 10)).toEqual([y]);
    expect(await stored().findRevocation('y')).toEqual(y);
    expect(await stored().findRevocation('unknown')).toBeUndefined();
  });

  it('replaces the token of a pending revocation, unless it changed since it was read', async () => {
    const [x] = await stored().listRevocations('', 1);
    if (!x) throw new Error('no revocation is pending');
    expect(await stored().replaceRevocation(x, 'rotated' as Ciphertext)).toBe(true);
    expect(await stored().replaceRevocation(x, 'rotated twice' as Ciphertext)).toBe(false);
    expect(await stored().findRevocation('x')).toEqual({ revocationId: 'x', refreshToken: 'rotated' });
  });

  async function findTokens(tokenId: string): Promise<StoredTokens> {
    const tokens = await stored().findTokens(tokenId);
    if (!tokens) throw new Error(`${tokenId} has no tokens`);
    return tokens;
  }
});
