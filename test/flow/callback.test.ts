import { expect, it } from '@jest/globals';
import { STATE_LIFETIME_MS } from '../../src/auth/oauth-states.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { ENCRYPTION_KEY, FRONTEND_URL } from '../support/environment.ts';
import { decryptWithPackage } from '../support/fernet-package.ts';
import { HOURS, useHarness } from '../support/harness.ts';
import { callback, changed, expectProblem } from '../support/requests.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { connect, consent, status } from '../support/service.ts';

const COMPANY = '9341452000000001';
const NOW = new Date('2026-02-10T14:00:00.123Z');

describeEachDatabase('the callback', (createDatabase) => {
  const harness = useHarness(createDatabase, { frozen: true });

  it('exchanges the code once, reads the company’s name and redirects to the frontend', async () => {
    const { service, simulator } = harness;
    const response = await connect(service, simulator, 'first', { realmId: COMPANY });
    expect([response.status, response.headers['location']]).toEqual([
      302,
      `${FRONTEND_URL}/settings/integrations?connected=true&system=quickbooks`,
    ]);
    expect(simulator.calls.map(({ endpoint }) => endpoint)).toEqual(['authorize', 'authorize', 'token', 'api']);
    expect(response.headers).not.toHaveProperty('set-cookie'); // the cookie stays until the state expires
    expect([response.headers['content-type'], response.text]).toEqual([undefined, '']);
    expect(await harness.knex('pending_grants')).toEqual([]);
  });

  it('stores tokens that another Fernet implementation decrypts, and instants to the millisecond', async () => {
    const { service, simulator, clock } = harness;
    clock.setWallClock(NOW);
    await connect(service, simulator, 'stored', { realmId: COMPANY });
    const [row, ...others] = await harness.rows('stored');
    const grant = simulator.grantFor(COMPANY);
    expect(others).toEqual([]);
    expect(row).toMatchObject({
      token_id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
      accounting_system: 'quickbooks',
      realm_id: COMPANY,
      company_name: 'Sandbox Company_US_1',
      is_active: 1,
      last_intuit_tid: simulator.callsTo('token')[0]?.intuitTid,
    });
    expect(decryptWithPackage(ENCRYPTION_KEY, row?.access_token ?? '')).toBe(grant?.accessTokens.at(-1));
    expect(decryptWithPackage(ENCRYPTION_KEY, row?.refresh_token ?? '')).toBe(grant?.refreshToken);
    const instants = [row?.created_at, row?.updated_at, row?.access_token_expires_at].map((at) => new Date(at ?? 0));
    expect(instants).toEqual([NOW, NOW, new Date(NOW.getTime() + 3600_000)]);
    expect(new Date(row?.refresh_token_expires_at ?? 0)).toEqual(new Date(NOW.getTime() + 8_726_400_000));
  });

  it('makes the status report the connection, as the contract specifies', async () => {
    const { service, simulator, clock } = harness;
    clock.setWallClock(NOW);
    const before = await status(service, 'reported');
    await connect(service, simulator, 'reported', { realmId: COMPANY });
    const connected = await status(service, 'reported');
    clock.advance(1 * HOURS);
    const expired = await status(service, 'reported');

    expect(before).toEqual({
      connected: false,
      accounting_system: null,
      realm_id: null,
      company_name: null,
      expires_at: null,
      is_expired: false,
      needs_reauthorization: false,
      reason: null,
      refresh_token_expires_at: null,
      authorization_expires_at: null,
      last_refreshed_at: null,
      last_verified_at: null,
    });
    expect(connected).toEqual({
      connected: true,
      accounting_system: 'quickbooks',
      realm_id: COMPANY,
      company_name: 'Sandbox Company_US_1',
      expires_at: '2026-02-10T15:00:00.123Z',
      is_expired: false,
      needs_reauthorization: false,
      reason: null,
      refresh_token_expires_at: '2026-05-22T14:00:00.123Z',
      authorization_expires_at: '2031-02-09T14:00:00.123Z',
      last_refreshed_at: null,
      last_verified_at: '2026-02-10T14:00:00.123Z',
    });
    expect(expired).toEqual({ ...connected, is_expired: true });
  });

  it('connects if Intuit returns no lifetime of the refresh token, and assumes the documented 100 days', async () => {
    const { service, simulator, clock } = harness;
    clock.setWallClock(NOW);
    const body = { token_type: 'bearer', access_token: 'eyJ-one', refresh_token: 'AB11-one', expires_in: 3600 };
    simulator.fail({ on: 'token', kind: 'json', body });
    simulator.fail({ on: 'companyinfo', kind: 'json', body: { CompanyInfo: { CompanyName: 'Company' } } });
    expect((await connect(service, simulator, 'assumed', { realmId: '1' })).status).toBe(302);
    expect(await status(service, 'assumed')).toMatchObject({
      connected: true,
      refresh_token_expires_at: '2026-05-21T14:00:00.123Z',
      authorization_expires_at: null,
    });
    expect(await harness.row('assumed')).toMatchObject({ is_refresh_expiry_assumed: 1 });
  });

  it('keeps a company’s name exactly as Intuit returns it', async () => {
    harness.simulator.setCompany('7', '<Ünï & 漢字 😀>');
    await connect(harness.service, harness.simulator, 'named', { realmId: '7' });
    expect((await status(harness.service, 'named'))['company_name']).toBe('<Ünï & 漢字 😀>');
  });

  it('rejects another browser’s, a forged and an expired state without consuming it', async () => {
    const { service, simulator, clock } = harness;
    const flow = await consent(service, simulator, 'careful');
    const other = await consent(service, simulator, 'careful');
    simulator.resetCalls();
    const name = flow.cookie.split('=')[0];
    for (const cookie of [other.cookie, '', `${name}=${other.cookie.split('=')[1]}`]) {
      expectProblem(await callback(service, { ...flow, cookie }), 400, 'invalid_state', /another browser/);
    }
    const state = new URL(flow.path, 'http://any').searchParams.get('state') ?? '';
    for (const forged of [`${state.slice(0, -1)}${state.endsWith('A') ? 'B' : 'A'}`, 'not-a-state']) {
      const path = changed(flow.path, { state: forged });
      expectProblem(await callback(service, { ...flow, path }), 400, 'invalid_state', /not started by this service/);
    }
    const startedAt = clock.now();
    clock.setWallClock(new Date(startedAt.getTime() + STATE_LIFETIME_MS));
    expectProblem(await callback(service, flow), 400, 'invalid_state', /expired/);

    clock.setWallClock(startedAt);
    expect(simulator.calls).toEqual([]);
    expect((await callback(service, flow)).status).toBe(302);
  });

  it('completes the flows of two tabs of one browser independently', async () => {
    const { service, simulator } = harness;
    const one = await consent(service, simulator, 'tab-one');
    const two = await consent(service, simulator, 'tab-two', { realmId: '77' });
    const cookie = `${one.cookie}; ${two.cookie}`;
    expect((await callback(service, { path: two.path, cookie })).status).toBe(302);
    expect((await callback(service, { path: one.path, cookie })).status).toBe(302);
    expect(await status(service, 'tab-two')).toMatchObject({ realm_id: '77' });
  });

  it('treats ORG and org as two organizations', async () => {
    const { service, simulator } = harness;
    await connect(service, simulator, 'ORG', { realmId: '11' });
    await connect(service, simulator, 'org', { realmId: '12' });
    expect(await status(service, 'ORG')).toMatchObject({ connected: true, realm_id: '11' });
    expect(await status(service, 'org')).toMatchObject({ connected: true, realm_id: '12' });
    expect(await status(service, 'Org')).toMatchObject({ connected: false });
  });

  itKeptSecrets(harness);
});
