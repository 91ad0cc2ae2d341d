import { expect, it } from '@jest/globals';
import { describeEachDatabase } from '../support/databases.ts';
import { FRONTEND_URL } from '../support/environment.ts';
import { call } from '../support/gateway.ts';
import { HOURS, useHarness } from '../support/harness.ts';
import { connect, disconnect, status } from '../support/service.ts';

const COMPANY = '9341452000000001';

describeEachDatabase('a connection', (createDatabase) => {
  const harness = useHarness(createDatabase);

  it('connects, reports its status, refreshes its token for a call, and disconnects', async () => {
    const { service, simulator } = harness;
    const callback = await connect(service, simulator, 'acme', { realmId: COMPANY });
    expect(callback.headers['location']).toBe(`${FRONTEND_URL}/settings/integrations?connected=true&system=quickbooks`);
    expect(await status(service, 'acme')).toMatchObject({ connected: true, realm_id: COMPANY, is_expired: false });

    harness.clock.advance(2 * HOURS);
    expect(await status(service, 'acme')).toMatchObject({ connected: true, is_expired: true });
    const response = await call(service, 'acme', `companyinfo/${COMPANY}`);
    expect(await response.json()).toMatchObject({ CompanyInfo: { CompanyName: 'Sandbox Company_US_1' } });
    expect(await status(service, 'acme')).toMatchObject({ connected: true, is_expired: false });

    const { body } = await disconnect(service, 'acme');
    expect(body).toEqual({ success: true, message: 'Disconnected successfully' });
    expect(await status(service, 'acme')).toMatchObject({ connected: false, realm_id: null });
    expect(simulator.grantFor(COMPANY)?.revoked).toBe(true);
  });
});
