import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Response } from 'supertest';
import { createSqlite, describeOnServer } from '../support/databases.ts';
import { FRONTEND_URL } from '../support/environment.ts';
import { useHarness } from '../support/harness.ts';
import { callback } from '../support/requests.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { connect, consent, disconnect, startService, type TestService } from '../support/service.ts';

describe('one replica', () => {
  const harness = useHarness(createSqlite);

  it('exchanges a code once if ten callbacks bring it at once, and returns its outcome to all', async () => {
    const flow = await consent(harness.service, harness.simulator, 'org');
    expectSameOutcome(await Promise.all(Array.from({ length: 10 }, () => callback(harness.service, flow))));
    expect(harness.simulator.callsTo('token')).toHaveLength(1);
    expect(await harness.activeRows('org')).toHaveLength(1);
  });

  itKeptSecrets(harness);
});

describeOnServer('two replicas on one database', (createDatabase) => {
  const harness = useHarness(createDatabase);
  let replicas: TestService[];

  beforeAll(async () => {
    const { service, database, simulator, clock } = harness;
    replicas = [service, await startService({ databaseUrl: database.url, simulator, clock })];
  });
  afterAll(() => replicas[1]?.close());

  it('exchange a code once if ten callbacks bring it at once, and return its outcome to all', async () => {
    const flow = await consent(harness.service, harness.simulator, 'org');
    expectSameOutcome(await tenTimes((replica) => callback(replica, flow)));
    expect(harness.simulator.callsTo('token')).toHaveLength(1);
    expect(await harness.activeRows('org')).toHaveLength(1);
  });

  it('leave one active row after ten reconnects at once', async () => {
    const responses = await tenTimes((replica) => connect(replica, harness.simulator, 'busy'));
    expect(responses.map(({ status }) => status)).toEqual(Array(10).fill(302));
    expect(await harness.activeRows('busy')).toHaveLength(1);
    expect((await harness.rows('busy')).filter(({ refresh_token }) => refresh_token !== '')).toHaveLength(1);
  });

  it('connect and disconnect one organization at once without an error', async () => {
    const responses = await tenTimes((replica, index) =>
      index % 3 === 0 ? disconnect(replica, 'both') : connect(replica, harness.simulator, 'both'),
    );
    for (const { status } of responses) expect([200, 302]).toContain(status);
    expect((await harness.activeRows('both')).length).toBeLessThanOrEqual(1);
  });

  async function tenTimes(work: (replica: TestService, index: number) => Promise<Response>): Promise<Response[]> {
    return Promise.all(Array.from({ length: 10 }, (_, index) => work(replicas[index % 2] as TestService, index)));
  }

  itKeptSecrets(harness);
});

function expectSameOutcome(responses: Response[]): void {
  const locations = responses.map(({ headers }) => headers['location']);
  const page = `${FRONTEND_URL}/settings/integrations?connected=true&system=quickbooks`;
  expect(locations).toEqual(Array(10).fill(page));
}
