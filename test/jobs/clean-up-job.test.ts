import { expect, it } from '@jest/globals';
import { describeEachDatabase } from '../support/databases.ts';
import { DAYS, MINUTES, useHarness } from '../support/harness.ts';

describeEachDatabase('the clean-up', (createDatabase) => {
  const harness = useHarness(createDatabase, { isolated: true, frozen: true });

  it('deletes a consumed state a day after it expired, for replicas whose clocks differ', async () => {
    await harness.connect('acme');
    harness.clock.advance(11 * MINUTES); // the state has expired
    await harness.home.worker.tick();
    expect(await harness.knex('oauth_states')).toHaveLength(1);
    harness.clock.advance(1 * DAYS);
    await harness.home.worker.tick();
    expect(await harness.knex('oauth_states')).toEqual([]);
  });

  it('deletes events after 400 days, not earlier', async () => {
    await harness.connect('acme');
    await harness.runWorker(400 * DAYS, 10 * DAYS);
    expect(await harness.eventTypes('acme')).toEqual(['connected']);
    harness.clock.advance(1);
    await harness.home.worker.tick();
    expect(await harness.eventTypes('acme')).toEqual([]);
  });

  it('deletes a hundred rows in one run, and the rest in the next ones', async () => {
    const expires_at = harness.clock.now();
    const states = Array.from({ length: 150 }, (_, index) => ({ state_id: `state-${index}`, expires_at }));
    await harness.knex.batchInsert('oauth_states', states);
    harness.clock.advance(2 * DAYS);
    await harness.home.worker.tick();
    expect(await harness.knex('oauth_states')).toHaveLength(50);
    await harness.home.worker.tick();
    expect(await harness.knex('oauth_states')).toEqual([]);
  });
});
