import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { type IntuitSimulator, startIntuitSimulator } from '../../dev/intuit-simulator/simulator.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { FRONTEND_URL } from '../support/environment.ts';
import type { TestDatabase } from '../support/own-database.ts';
import { connect, disconnect, startService, status, type TestService } from '../support/service.ts';

const COMPANY = '9341452000000001';

describeEachDatabase('the life of a connection', (createDatabase) => {
  let database: TestDatabase;
  let simulator: IntuitSimulator;
  let service: TestService;

  beforeAll(async () => {
    [database, simulator] = await Promise.all([createDatabase(), startIntuitSimulator()]);
    service = await startService({ databaseUrl: database.url, simulator });
  });

  afterAll(async () => {
    await service.close();
    await simulator.close();
    await database.drop();
  });

  it('connects, tells the status, and disconnects', async () => {
    const callback = await connect(service, simulator, 'acme', { realmId: COMPANY });
    expect(callback.status).toBe(302);
    expect(callback.headers['location']).toBe(`${FRONTEND_URL}/settings/integrations?connected=true&system=quickbooks`);
    expect(await status(service, 'acme')).toMatchObject({ connected: true, realm_id: COMPANY, is_expired: false });

    const answer = await disconnect(service, 'acme');
    expect(answer.body).toEqual({ success: true, message: 'Disconnected successfully' });
    expect(await status(service, 'acme')).toMatchObject({ connected: false, realm_id: null });
    expect(simulator.grantFor(COMPANY)?.revoked).toBe(true);
  });

  it('ends ten reconnects at once with one active connection', async () => {
    const callbacks = await Promise.all(Array.from({ length: 10 }, () => connect(service, simulator, 'ten')));
    expect(callbacks.map(({ status }) => status)).toEqual(Array(10).fill(302));
  });
});
