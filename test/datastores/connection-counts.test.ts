import { expect, it } from '@jest/globals';
import { recountConnections } from '../../src/datastores/connection-counts.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { useHarness } from '../support/harness.ts';

describeEachDatabase('a recount of the connections', (createDatabase) => {
  const harness = useHarness(createDatabase);

  it('corrects the counts after rows were edited by hand, also while connections change', async () => {
    for (const organization of ['a', 'b', 'c']) await harness.connect(organization);
    await harness.deactivate('c');
    await harness.knex('oauth_tokens').where('organization_id', harness.key('b').organizationId).delete();
    expect(await recountConnections(harness.knex)).toEqual({
      before: { active: 3, lost: 0 },
      after: { active: 1, lost: 1 },
    });
    await Promise.all([
      ...['d', 'e', 'f'].map((organization) => harness.connect(organization)),
      recountConnections(harness.knex),
      harness.disconnect('a'),
      recountConnections(harness.knex),
    ]);
    const right = { active: 3, lost: 1 };
    expect(await recountConnections(harness.knex)).toEqual({ before: right, after: right });
  });
});
