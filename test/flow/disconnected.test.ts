import { expect, it } from '@jest/globals';
import supertest from 'supertest';
import { describeEachDatabase } from '../support/databases.ts';
import { FRONTEND_URL } from '../support/environment.ts';
import { MINUTES, SECONDS, useHarness } from '../support/harness.ts';
import { PREFIX } from '../support/requests.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { status } from '../support/service.ts';

const LOCATION = `${FRONTEND_URL}/settings/integrations?disconnected=true&system=quickbooks`;

describeEachDatabase('a user who disconnected inside QuickBooks', (createDatabase) => {
  const harness = useHarness(createDatabase, { isolated: true, frozen: true });

  it('returns to the frontend, and the connection is reported as lost at once', async () => {
    const realmId = await harness.connect('acme');
    const other = await harness.connect('other');
    harness.simulator.revokeGrant(realmId);
    harness.clock.advance(1 * SECONDS);
    await visit(`?realmId=${realmId}&unknown=1`);
    expect(await status(harness.service, 'acme')).toMatchObject({ connected: true });
    await harness.home.worker.tick();
    expect(await status(harness.service, 'acme')).toMatchObject({ connected: false, reason: 'authorization_revoked' });
    expect(await status(harness.service, 'other')).toMatchObject({ connected: true, realm_id: other });
    expect(harness.refreshes()).toBe(1);
  });

  it('ends nothing if Intuit still accepts the grant, for every organization of the company', async () => {
    const realmId = await harness.connect('acme');
    await harness.connect('globex', realmId);
    harness.clock.advance(1 * SECONDS);
    await visit(`?realmId=${realmId}`);
    await harness.home.worker.tick();
    for (const organization of ['acme', 'globex']) {
      expect(await status(harness.service, organization)).toMatchObject({ connected: true });
      expect(await harness.eventTypes(organization)).toEqual(['connected']);
    }
    expect(harness.refreshes()).toBe(2);
    await harness.home.worker.tick();
    expect(harness.refreshes()).toBe(2);
  });

  it('causes no more than one verification a minute', async () => {
    const realmId = await harness.connect('acme');
    for (let second = 0; second < 59; second += 1) {
      harness.clock.advance(1 * SECONDS);
      await visit(`?realmId=${realmId}`);
      await harness.home.worker.tick();
    }
    expect(harness.refreshes()).toBe(1);
    harness.clock.advance(2 * SECONDS);
    await visit(`?realmId=${realmId}`);
    await harness.home.worker.tick();
    expect(harness.refreshes()).toBe(2);
  });

  it('is verified again if Intuit was not available', async () => {
    const realmId = await harness.connect('acme');
    harness.simulator.revokeGrant(realmId);
    harness.simulator.fail({ on: 'token', kind: 'status', status: 503 });
    harness.clock.advance(1 * SECONDS);
    await visit(`?realmId=${realmId}`);
    await harness.home.worker.tick();
    expect(await status(harness.service, 'acme')).toMatchObject({ connected: true });
    await harness.runWorker(15 * MINUTES, 1 * MINUTES);
    expect(await status(harness.service, 'acme')).toMatchObject({ connected: false, reason: 'authorization_revoked' });
  });

  it.each(['', '?realmId=', '?realmId=x', '?realmId=1&realmId=2', `?realmId=${'1'.repeat(33)}`, '?realmId[]=1'])(
    'only returns to the frontend with the unusable query %j',
    async (query) => {
      harness.queries.splice(0);
      await visit(query);
      expect(harness.queries).toEqual([]);
    },
  );

  it('returns to the frontend even if the database is not available', async () => {
    await harness.knex.schema.renameTable('oauth_tokens', 'tokens_hidden');
    try {
      await visit('?realmId=1');
    } finally {
      await harness.knex.schema.renameTable('tokens_hidden', 'oauth_tokens');
    }
  });

  it('uses GET alone', async () => {
    for (const method of ['head', 'post', 'put'] as const) {
      await supertest(harness.service.origin)[method](`${PREFIX}/disconnected`).expect(405).expect('Allow', 'GET');
    }
  });

  itKeptSecrets(harness);

  async function visit(query: string): Promise<void> {
    const { headers } = await supertest(harness.service.origin).get(`${PREFIX}/disconnected${query}`).expect(302);
    expect(headers['location']).toBe(LOCATION);
  }
});
