import { createHash, randomBytes } from 'node:crypto';
import { expect, it } from '@jest/globals';
import { authorizationFault, tokenFault } from '../../dev/intuit-simulator/api-errors.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { call, callAtOnce, expectOwnError } from '../support/gateway.ts';
import { SECONDS, useHarness } from '../support/harness.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { status } from '../support/service.ts';
import { until } from '../support/until.ts';

describeEachDatabase('the gateway, if QuickBooks rejects a token that has not expired,', (createDatabase) => {
  const harness = useHarness(createDatabase);

  it('refreshes the token once and sends the request once more, with its body', async () => {
    await connectRejected('once', '1');
    const body = randomBytes(1024 * 1024);
    const response = await call(harness.service, 'once', 'echo?a=%27', { method: 'POST', body });
    const bodySha256 = createHash('sha256').update(body).digest('hex');
    expect(await response.json()).toMatchObject({ url: '/v3/company/1/echo?a=%27', bodySha256 });
    expect(harness.simulator.callsTo('api').map((each) => each.status)).toEqual([401, 200]);
    expect(harness.refreshes()).toBe(1);
    expect(await harness.row('once')).toMatchObject({ generation: 1 });
  });

  it('refreshes the token once for twenty callers at once', async () => {
    await connectRejected('twenty', '2');
    expect(await callAtOnce(harness.service, 'twenty', 20)).toEqual(Array(20).fill(200));
    expect(harness.refreshes()).toBe(1);
  });

  it('does not refresh again for a caller whose 401 arrives after the refresh', async () => {
    await connectRejected('late', '3');
    const release = harness.simulator.hold({ on: 'api', kind: 'slow_after' });
    const late = call(harness.service, 'late');
    await until(() => harness.simulator.callsTo('api').length === 1);
    expect((await call(harness.service, 'late')).status).toBe(200);
    release();
    expect((await late).status).toBe(200);
    expect(harness.refreshes()).toBe(1);
  });

  it.each([
    ['JSON', '5', tokenFault('canary')],
    ['XML', '6', authorizationFault('canary', new Date())],
  ])('returns 502 without Intuit’s text if the new token is rejected too (%s)', async (kind, realmId, fault) => {
    const organization = `twice-${kind}`;
    await connectRejected(organization, realmId);
    const { body, headers } = fault;
    const contentType = headers?.['content-type'] ?? '';
    harness.simulator.fail({ on: 'api', kind: 'status', status: 401, body, contentType, times: 2 });
    const before = harness.logs.length;
    const response = await call(harness.service, organization, `companyinfo/${realmId}`);
    const text = await response.clone().text();
    await expectOwnError(response, 502, 'provider_error');
    expect(harness.simulator.callsTo('api')).toHaveLength(2);
    expect(harness.refreshes()).toBe(1);
    const visible = [text, ...harness.logs.slice(before)].join();
    expect(visible).not.toMatch(/canary|AuthenticationFault|Authorization Failure|Token expired/);
    expect(visible).toContain(String(harness.simulator.callsTo('api')[1]?.intuitTid));
  });

  it('returns 409 if the grant was revoked inside QuickBooks', async () => {
    await connectRejected('ended', '7');
    harness.simulator.revokeGrant('7');
    await expectOwnError(await call(harness.service, 'ended'), 409, 'reauthorization_required');
    await expectOwnError(await call(harness.service, 'ended'), 409, 'reauthorization_required');
    expect([harness.refreshes(), harness.simulator.callsTo('api').length]).toEqual([1, 1]);
  });

  it('returns 503 if the token endpoint is down, and keeps the connection', async () => {
    await connectRejected('down', '8');
    harness.simulator.fail({ on: 'token', kind: 'status', status: 503, times: null });
    const response = await call(harness.service, 'down');
    expect(await expectOwnError(response, 503, 'provider_unavailable')).toMatch(/^[12]$/);
    expect(await status(harness.service, 'down')).toMatchObject({ connected: true });
  });

  it('returns 503 if the second request gets no response, without a third one', async () => {
    await connectRejected('slow', '9');
    harness.simulator.hold({ on: 'api', kind: 'slow_after' })(); // the first request is responded to
    harness.simulator.fail({ on: 'api', kind: 'hang', times: null });
    const response = call(harness.service, 'slow');
    await until(() => harness.simulator.callsTo('api').length === 2);
    harness.clock.advance(120 * SECONDS);
    await expectOwnError(await response, 503, 'provider_unavailable');
    expect([harness.simulator.callsTo('api').length, harness.refreshes()]).toEqual([2, 1]);
  });

  itKeptSecrets(harness);

  async function connectRejected(organization: string, realmId: string): Promise<void> {
    await harness.connect(organization, realmId);
    harness.simulator.expireAccessTokens(realmId);
  }
});
