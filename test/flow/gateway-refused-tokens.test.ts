import { createHash, randomBytes } from 'node:crypto';
import { expect, it } from '@jest/globals';
import { describeEachDatabase } from '../support/databases.ts';
import { call, callAtOnce, expectOwnError, refreshes } from '../support/gateway.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { connect, status } from '../support/service.ts';
import { useStage } from '../support/stage.ts';

describeEachDatabase('an access token that QuickBooks refuses though it should work', (createDatabase) => {
  const stage = useStage(createDatabase, { PROVIDER_TIMEOUT_MS: '2000' });

  it('is renewed once, and the request repeated once, body and all', async () => {
    await connectRefused('once', '1');
    const body = randomBytes(1024 * 1024);
    const answer = await call(stage.service, 'once', 'echo?a=%27', { method: 'POST', body });
    const bodySha256 = createHash('sha256').update(body).digest('hex');
    expect(await answer.json()).toMatchObject({ url: '/v3/company/1/echo?a=%27', bodySha256 });
    expect(stage.simulator.callsTo('api').map((each) => each.status)).toEqual([401, 200]);
    expect(refreshes(stage)).toBe(1);
    expect((await stage.activeRows('once'))[0]).toMatchObject({ generation: 1 });
  });

  it('is renewed once for twenty callers who are refused at once', async () => {
    await connectRefused('twenty', '2');
    expect(await callAtOnce(stage.service, 'twenty', 20)).toEqual(Array(20).fill(200));
    expect(refreshes(stage)).toBe(1);
  });

  it('is not renewed for a caller who is refused long after the others were', async () => {
    await connectRefused('late', '3');
    stage.simulator.fail({ on: 'api', kind: 'slow_after', delayMs: 300 });
    const late = call(stage.service, 'late');
    expect((await call(stage.service, 'late')).status).toBe(200);
    expect((await late).status).toBe(200);
    expect(refreshes(stage)).toBe(1);
  });

  it.each([
    ['as JSON', '5'],
    ['as XML', '6'],
  ])('and refuses the renewed one %s as well, is told as 502 without a word of Intuit’s', async (kind, realmId) => {
    const organization = `twice-${kind.slice(3)}`;
    await connectRefused(organization, realmId);
    const { realm_id } = await status(stage.service, organization);
    if (kind === 'as XML') {
      await stage.knex('oauth_tokens').where({ organization_id: organization }).update({ realm_id: '99' });
    } else {
      const body = { fault: { error: [{ detail: 'Token expired: canary' }] } };
      stage.simulator.fail({ on: 'api', kind: 'status', status: 401, body, times: 2 });
    }
    const before = stage.service.logs.length;
    const answer = await call(stage.service, organization, `companyinfo/${realm_id}`);
    const text = await answer.clone().text();
    await expectOwnError(answer, 502, 'provider_error');
    expect(stage.simulator.callsTo('api')).toHaveLength(2);
    expect(refreshes(stage)).toBe(1);
    const told = [text, ...stage.service.logs.slice(before)].join();
    expect(told).not.toMatch(/canary|AuthenticationFault|Authorization Failure|Token expired/);
    expect(told).toContain(String(stage.simulator.callsTo('api')[1]?.intuitTid));
  });

  it('is told as lost where the grant was ended inside QuickBooks', async () => {
    await connectRefused('ended', '7');
    stage.simulator.revokeGrant('7');
    await expectOwnError(await call(stage.service, 'ended'), 409, 'reauthorization_required');
    await expectOwnError(await call(stage.service, 'ended'), 409, 'reauthorization_required');
    expect([refreshes(stage), stage.simulator.callsTo('api').length]).toEqual([1, 1]);
  });

  it('is told as 503 where it cannot be renewed just now', async () => {
    await connectRefused('down', '8');
    stage.simulator.fail({ on: 'token', kind: 'status', status: 503, times: null });
    expect(await expectOwnError(await call(stage.service, 'down'), 503, 'provider_unavailable')).toMatch(/^[12]$/);
    expect(await status(stage.service, 'down')).toMatchObject({ connected: true });
  });

  it('returns 503 if the repeated request hangs, without a third one', async () => {
    await connectRefused('slow', '9');
    stage.simulator.fail({ on: 'api', kind: 'slow_after', delayMs: 100 });
    stage.simulator.fail({ on: 'token', kind: 'slow_after', delayMs: 100 });
    stage.simulator.fail({ on: 'api', kind: 'hang', times: null });
    await expectOwnError(await call(stage.service, 'slow'), 503, 'provider_unavailable');
    expect([stage.simulator.callsTo('api').length, refreshes(stage)]).toEqual([2, 1]);
  });

  itKeptSecrets(stage);

  async function connectRefused(organization: string, realmId: string): Promise<void> {
    await connect(stage.service, stage.simulator, organization, { realmId });
    stage.simulator.expireAccessTokens(realmId);
    stage.simulator.resetCalls();
  }
});
