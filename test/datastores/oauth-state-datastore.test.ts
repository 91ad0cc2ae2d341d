import { expect, it } from '@jest/globals';
import { OAuthStateDatastore } from '../../src/datastores/oauth-state-datastore.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { MINUTES, useHarness } from '../support/harness.ts';

describeEachDatabase('OAuthStateDatastore', (createDatabase) => {
  const harness = useHarness(createDatabase, { frozen: true, isolated: true });
  const states = () => new OAuthStateDatastore({ session: harness.home.session, events: harness.home.events });
  const inMinutes = (minutes: number) => new Date(harness.clock.now().getTime() + minutes * MINUTES);

  it('consumes a state once', async () => {
    expect(await states().consume('once', inMinutes(10))).toBe(true);
    expect(await states().consume('once', inMinutes(10))).toBe(false);
    const row = await harness.knex('oauth_states').where('state_id', 'once').first();
    expect(new Date(row?.expires_at ?? 0)).toEqual(inMinutes(10));
  });

  it('consumes a state for one of ten concurrent callers', async () => {
    const consumed = Array.from({ length: 10 }, () => states().consume('ten', inMinutes(10)));
    expect((await Promise.all(consumed)).filter(Boolean)).toHaveLength(1);
  });

  it('distinguishes states by upper and lower case', async () => {
    expect(await states().consume('aB-_0123456789abcdefgh', inMinutes(10))).toBe(true);
    expect(await states().consume('ab-_0123456789abcdefgh', inMinutes(10))).toBe(true);
  });

  it('lists the states that expired before an instant, oldest first, and deletes them', async () => {
    for (const [state, minutes] of [
      ['b', 2],
      ['c', 3],
      ['a', 1],
    ] as const)
      await states().consume(state, inMinutes(minutes));
    expect(await states().listExpired(inMinutes(3), 10)).toEqual(['a', 'b']);
    expect(await states().listExpired(inMinutes(3), 1)).toEqual(['a']);
    await states().delete(['a', 'b']);
    expect(await harness.knex('oauth_states').pluck('state_id')).toEqual(['c']);
    await states().delete(['a', 'b']); // as another worker may have done before
  });
});
