import { describe, expect, it } from '@jest/globals';
import type { Fault } from '../../dev/intuit-simulator/faults.ts';
import { createSqlite } from '../support/databases.ts';
import { SECONDS, useHarness } from '../support/harness.ts';
import { callback, changed, expectProblem, expectRetryAfter } from '../support/requests.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { connect, consent, status } from '../support/service.ts';
import { until } from '../support/until.ts';

const COMPANY = '9341452000000001';
const OTHER_COMPANY = '9341452000000002';
const THROTTLED = { Fault: { Error: [{ code: '3001' }], type: 'SERVICE' } };

type FaultAnywhere = Omit<Fault, 'on'>;

describe('the callback', () => {
  const harness = useHarness(createSqlite);

  it.each<[number, string, string, FaultAnywhere]>([
    [400, 'authorization_code_rejected', 'rejects the code', { kind: 'invalid_grant' }],
    [502, 'provider_error', 'rejects this service', { kind: 'invalid_client' }],
    [502, 'provider_error', 'rejects the request as malformed', { kind: 'invalid_request' }],
    [502, 'provider_error', 'redirects', { kind: 'redirect', location: '/oauth2/v1/tokens/bearer' }],
    [502, 'provider_error', 'returns an HTML page', { kind: 'html' }],
    [502, 'provider_error', 'returns an empty response', { kind: 'empty' }],
    [503, 'provider_unavailable', 'is down', { kind: 'status', status: 503 }],
    [503, 'provider_unavailable', 'throttles', { kind: 'status', status: 429, retryAfter: 17 }],
    [503, 'provider_unavailable', 'closes the connection', { kind: 'drop_after' }],
  ])('returns %i %s and stores nothing if the token endpoint %s', async (httpStatus, code, _, fault) => {
    const { service, simulator } = harness;
    simulator.fail({ on: 'token', ...fault });
    const response = await connect(service, simulator, 'org');
    expectProblem(response, httpStatus, code);
    if (httpStatus === 503) expectRetryAfter(response);
    if (fault.retryAfter) expect(response.headers['retry-after']).toBe('17');
    await expectOneExchangeAndNoRow();
  });

  it('returns 503 provider_unavailable and stores nothing if the token endpoint does not respond', async () => {
    const { service, simulator, clock } = harness;
    simulator.fail({ on: 'token', kind: 'hang' });
    const response = connect(service, simulator, 'org');
    await until(() => simulator.callsTo('token').length === 1);
    clock.advance(10 * SECONDS);
    expectProblem(await response, 503, 'provider_unavailable');
    expectRetryAfter(await response);
    await expectOneExchangeAndNoRow();
  });

  it.each<[string, number, string, FaultAnywhere]>([
    ['an error', 50, 'rejects this service', { kind: 'invalid_client' }],
    ['a warning', 40, 'is down', { kind: 'status', status: 503 }],
  ])('logs %s (level %i) with Intuit’s transaction ID if the token endpoint %s', async (_, level, __, fault) => {
    const { service, simulator } = harness;
    const before = service.logs.length;
    simulator.fail({ on: 'token', ...fault });
    await connect(service, simulator, 'logged');
    const { intuitTid } = simulator.callsTo('token')[0] ?? {};
    const lines = service.logs.slice(before).filter((line) => line.includes(String(intuitTid)));
    expect(lines.map((line) => JSON.parse(line).level)).toEqual([level]);
  });

  it('returns a Retry-After of at most five digits, however long Intuit’s is', async () => {
    harness.simulator.fail({ on: 'token', kind: 'status', status: 503, retryAfter: '9'.repeat(40) });
    expectRetryAfter(await connect(harness.service, harness.simulator, 'org'));
  });

  it.each<[string, FaultAnywhere]>([
    ['returns 500', { kind: 'status', status: 500 }],
    ['returns 503', { kind: 'status', status: 503 }],
    ['returns 429', { kind: 'status', status: 429, retryAfter: 60 }],
    ['returns 403 with code 3001 (throttled)', { kind: 'status', status: 403, body: THROTTLED }],
    ['closes the connection', { kind: 'drop_after' }],
    ['returns half a response', { kind: 'truncate' }],
  ])('connects unproven and without a company name if companyinfo %s', async (_, fault) => {
    harness.simulator.fail({ on: 'companyinfo', ...fault });
    await expectUnproven(await connect(harness.service, harness.simulator, 'unproven'));
  });

  it('connects unproven and without a company name if companyinfo does not respond', async () => {
    const { service, simulator, clock } = harness;
    simulator.fail({ on: 'companyinfo', kind: 'hang' });
    const response = connect(service, simulator, 'unproven');
    await until(() => simulator.callsTo('api').length === 1);
    clock.advance(10 * SECONDS);
    await expectUnproven(await response);
  });

  it.each<[string, FaultAnywhere]>([
    ['returns 401', { kind: 'status', status: 401 }],
    ['returns 400', { kind: 'status', status: 400 }],
    ['returns 403 with code 3100', { kind: 'status', status: 403, body: { fault: { error: [{ code: '3100' }] } } }],
    ['returns 404', { kind: 'status', status: 404 }],
    ['redirects', { kind: 'redirect' }],
    ['returns an HTML page', { kind: 'html' }],
    ['returns a Fault with status 200', { kind: 'json', body: { Fault: { type: 'SystemFault' } } }],
  ])('returns 400 company_mismatch, and neither stores nor revokes, if companyinfo %s', async (_, fault) => {
    const { service, simulator } = harness;
    simulator.fail({ on: 'companyinfo', ...fault });
    const before = service.logs.length;
    expectProblem(await connect(service, simulator, 'rejected', { realmId: COMPANY }), 400, 'company_mismatch');
    await expectNeitherStoredNorRevoked('rejected', COMPANY);
    const [line] = service.logs.slice(before).filter((each) => each.includes('connect.company_mismatch'));
    const [call] = simulator.callsTo('api');
    expect(JSON.parse(line ?? '{}')).toMatchObject({
      status: call?.status,
      intuit_tid: call?.intuitTid,
      ...(call?.status === 403 ? { reason: '3100' } : {}),
    });
  });

  it('returns 400 company_mismatch if the realmId was changed on the way', async () => {
    const { service, simulator } = harness;
    const flow = await consent(service, simulator, 'mismatch', { realmId: COMPANY });
    const path = changed(flow.path, { realmId: OTHER_COMPANY });
    expectProblem(await callback(service, { ...flow, path }), 400, 'company_mismatch');
    await expectNeitherStoredNorRevoked('mismatch', COMPANY);
  });

  it('returns 400 company_mismatch if the company belongs to the other environment', async () => {
    const { service, simulator } = harness;
    simulator.setCompany('403', undefined);
    expectProblem(await connect(service, simulator, 'foreign', { realmId: '403' }), 400, 'company_mismatch');
    await expectNeitherStoredNorRevoked('foreign', '403');
  });

  it('leaves the existing connection unchanged after a company mismatch', async () => {
    const { service, simulator } = harness;
    await connect(service, simulator, 'kept', { realmId: '5' });
    const flow = await consent(service, simulator, 'kept', { realmId: COMPANY });
    const path = changed(flow.path, { realmId: OTHER_COMPANY });
    expectProblem(await callback(service, { ...flow, path }), 400, 'company_mismatch');
    expect(await status(service, 'kept')).toMatchObject({ connected: true, realm_id: '5' });
    expect(simulator.grantFor('5')?.revoked).toBe(false);
  });

  async function expectOneExchangeAndNoRow(): Promise<void> {
    expect(harness.simulator.callsTo('token')).toHaveLength(1);
    expect(harness.simulator.callsTo('api')).toEqual([]);
    expect(await harness.rows('org')).toEqual([]);
  }

  async function expectUnproven(response: { status: number }): Promise<void> {
    expect(response.status).toBe(302);
    expect(await status(harness.service, 'unproven')).toMatchObject({
      connected: true,
      company_name: null,
      last_verified_at: null,
    });
    expect(harness.revocations()).toBe(0);
  }

  async function expectNeitherStoredNorRevoked(organizationId: string, realmId: string): Promise<void> {
    expect(harness.revocations()).toBe(0);
    expect(await harness.pendingRevocations()).toEqual([]);
    expect(harness.simulator.grantFor(realmId)?.revoked).toBe(false);
    expect(await harness.rows(organizationId)).toEqual([]);
    expect(await status(harness.service, organizationId)).toMatchObject({ connected: false });
  }

  itKeptSecrets(harness);
});
