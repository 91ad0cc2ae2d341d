import { expect, it } from '@jest/globals';
import { STATE_LIFETIME_MS } from '../../src/auth/oauth-states.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { ENCRYPTION_KEY, FRONTEND_URL } from '../support/environment.ts';
import { openWithPackage } from '../support/fernet-package.ts';
import { callback, changed, expectProblem } from '../support/requests.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { connect, consent, status } from '../support/service.ts';
import { useStage } from '../support/stage.ts';

const COMPANY = '9341452000000001';
const NOW = new Date('2026-02-10T14:00:00.123Z');

describeEachDatabase('the callback', (createDatabase) => {
  const stage = useStage(createDatabase);

  it('exchanges the code once, reads the company’s name and leads to the frontend', async () => {
    const { service, simulator } = stage;
    const answer = await connect(service, simulator, 'first', { realmId: COMPANY });
    expect([answer.status, answer.headers['location']]).toEqual([
      302,
      `${FRONTEND_URL}/settings/integrations?connected=true&system=quickbooks`,
    ]);
    expect(simulator.calls.map(({ endpoint }) => endpoint)).toEqual(['authorize', 'authorize', 'token', 'api']);
    expect(answer.headers['set-cookie']).toEqual([
      expect.stringMatching(/^oauth_[\w-]+=; Path=\/.*Expires=Thu, 01 Jan 1970/),
    ]);
  });

  it('stores what another Fernet implementation opens, and instants to the millisecond', async () => {
    stage.clock = () => NOW;
    await connect(stage.service, stage.simulator, 'stored', { realmId: COMPANY });
    const [row, ...others] = await stage.rows('stored');
    const grant = stage.simulator.grantFor(COMPANY);
    expect(others).toEqual([]);
    expect(row).toMatchObject({
      token_id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
      accounting_system: 'quickbooks',
      realm_id: COMPANY,
      company_name: 'Sandbox Company_US_1',
      is_active: 1,
      last_intuit_tid: stage.simulator.callsTo('token')[0]?.intuitTid,
    });
    expect(openWithPackage(ENCRYPTION_KEY, row?.access_token ?? '')).toBe(grant?.accessTokens.at(-1));
    expect(openWithPackage(ENCRYPTION_KEY, row?.refresh_token ?? '')).toBe(grant?.refreshToken);
    const instants = [row?.created_at, row?.updated_at, row?.access_token_expires_at].map((at) => new Date(at ?? 0));
    expect(instants).toEqual([NOW, NOW, new Date(NOW.getTime() + 3600_000)]);
    expect(new Date(row?.refresh_token_expires_at ?? 0)).toEqual(new Date(NOW.getTime() + 8_726_400_000));
  });

  it('tells the status as the contract has it', async () => {
    stage.clock = () => NOW;
    const before = await status(stage.service, 'told');
    await connect(stage.service, stage.simulator, 'told', { realmId: COMPANY });
    const after = await status(stage.service, 'told');
    stage.clock = () => new Date(NOW.getTime() + 3600_000);
    const later = await status(stage.service, 'told');

    const nothing = { expires_at: null, reason: null, refresh_token_expires_at: null, last_refreshed_at: null };
    const nobody = { accounting_system: null, realm_id: null, company_name: null };
    const told = { connected: false, is_expired: false, needs_reauthorization: false };
    expect(before).toEqual({ ...told, ...nobody, ...nothing });
    expect(after).toEqual({
      connected: true,
      accounting_system: 'quickbooks',
      realm_id: COMPANY,
      company_name: 'Sandbox Company_US_1',
      expires_at: '2026-02-10T15:00:00.123Z',
      is_expired: false,
      needs_reauthorization: false,
      reason: null,
      // the simulator counts whole seconds from a consent that was a moment earlier
      refresh_token_expires_at: expect.stringMatching(/^2026-05-22T(14:00:00|13:59:59)\.123Z$/),
      last_refreshed_at: null,
    });
    expect(later).toEqual({ ...after, is_expired: true });
  });

  it('keeps a company’s name as it is written', async () => {
    stage.simulator.setCompany('7', '<Ünï & 漢字 😀>');
    await connect(stage.service, stage.simulator, 'named', { realmId: '7' });
    expect((await status(stage.service, 'named'))['company_name']).toBe('<Ünï & 漢字 😀>');
  });

  it('takes a state once: a replay is invalid_state and reaches nobody', async () => {
    const flow = await consent(stage.service, stage.simulator, 'replayed');
    expect((await callback(stage.service, flow)).status).toBe(302);
    stage.simulator.resetCalls();
    expectProblem(await callback(stage.service, flow), 400, 'invalid_state', /already/);
    expectProblem(
      await callback(stage.service, { ...flow, path: changed(flow.path, { code: 'other' }) }),
      400,
      'invalid_state',
    );
    expect(stage.simulator.calls).toEqual([]);
    expect((await status(stage.service, 'replayed'))['connected']).toBe(true);
  });

  it('spends the state though the exchange fails', async () => {
    const flow = await consent(stage.service, stage.simulator, 'spent');
    stage.simulator.fail({ on: 'token', kind: 'status', status: 503 });
    expectProblem(await callback(stage.service, flow), 503, 'provider_unavailable');
    expectProblem(await callback(stage.service, flow), 400, 'invalid_state');
    expect(stage.simulator.callsTo('token')).toHaveLength(1);
    expect(await stage.rows('spent')).toEqual([]);
  });

  it('spends the state though the person said no', async () => {
    const flow = await consent(stage.service, stage.simulator, 'refused', { consent: false });
    const answer = await callback(stage.service, flow);
    expect([answer.status, answer.headers['location']]).toEqual([
      302,
      `${FRONTEND_URL}/settings/integrations?connected=false&system=quickbooks&error=access_denied`,
    ]);
    expectProblem(await callback(stage.service, flow), 400, 'invalid_state');
    expect(stage.simulator.callsTo('token')).toEqual([]);
  });

  it('refuses another browser, an expired state and a forged one before the state is spent', async () => {
    const { service, simulator } = stage;
    const flow = await consent(service, simulator, 'careful');
    const other = await consent(service, simulator, 'careful');
    simulator.resetCalls();
    expectProblem(await callback(service, { ...flow, cookie: other.cookie }), 400, 'invalid_state', /another browser/);
    expectProblem(await callback(service, { ...flow, cookie: '' }), 400, 'invalid_state', /another browser/);
    const name = flow.cookie.split('=')[0];
    const wrong = `${name}=${other.cookie.split('=')[1]}`;
    expectProblem(await callback(service, { ...flow, cookie: wrong }), 400, 'invalid_state', /another browser/);
    const state = new URL(flow.path, 'http://any').searchParams.get('state') ?? '';
    for (const forged of [`${state.slice(0, -1)}${state.endsWith('A') ? 'B' : 'A'}`, 'not-a-state'])
      expectProblem(
        await callback(service, { ...flow, path: changed(flow.path, { state: forged }) }),
        400,
        'invalid_state',
        /not started here/,
      );
    stage.clock = () => new Date(Date.now() + STATE_LIFETIME_MS);
    expectProblem(await callback(service, flow), 400, 'invalid_state', /expired/);

    stage.clock = () => new Date();
    expect(simulator.calls).toEqual([]);
    expect((await callback(service, flow)).status).toBe(302);
  });

  it('keeps two tabs of one browser apart', async () => {
    const [one, two] = [
      await consent(stage.service, stage.simulator, 'tab-one'),
      await consent(stage.service, stage.simulator, 'tab-two', { realmId: '77' }),
    ];
    const cookie = `${one.cookie}; ${two.cookie}`;
    expect((await callback(stage.service, { path: two.path, cookie })).status).toBe(302);
    expect((await callback(stage.service, { path: one.path, cookie })).status).toBe(302);
    expect(await status(stage.service, 'tab-two')).toMatchObject({ realm_id: '77' });
  });

  it('takes ORG and org for two organizations', async () => {
    await connect(stage.service, stage.simulator, 'ORG', { realmId: '11' });
    await connect(stage.service, stage.simulator, 'org', { realmId: '12' });
    expect(await status(stage.service, 'ORG')).toMatchObject({ connected: true, realm_id: '11' });
    expect(await status(stage.service, 'org')).toMatchObject({ connected: true, realm_id: '12' });
    expect(await status(stage.service, 'Org')).toMatchObject({ connected: false });
  });

  itKeptSecrets(stage);
});
