import { request } from 'node:http';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import type { Fault } from '../../dev/intuit-simulator/faults.ts';
import { AppError } from '../../src/errors.ts';
import { createSqlite, describeEachDatabase } from '../support/databases.ts';
import { codeOf, MINUTES, SECONDS, useHarness } from '../support/harness.ts';
import { callback, expectProblem, expectRetryAfter } from '../support/requests.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { connect, consent, disconnect, status } from '../support/service.ts';
import { until } from '../support/until.ts';

const TIMEOUT_MS = 10 * SECONDS;
const UNAVAILABLE = new AppError('service_unavailable', { retryAfterSeconds: 5 });

type CompanyFault = [title: string, fault: Omit<Fault, 'on'>];

/** Responses to the company request that prove nothing. */
const UNPROVEN: CompanyFault[] = [
  ['is throttled', { kind: 'status', status: 429 }],
  ['is throttled by a 403 with code 3001', { kind: 'status', status: 403, body: faultBody('3001') }],
  ['fails with 500', { kind: 'status', status: 500 }],
  ['fails with 503', { kind: 'status', status: 503 }],
  ['is not answered', { kind: 'hang' }],
  ['breaks off', { kind: 'drop_before' }],
];

/** Responses to the company request that deny access. */
const DENIED: CompanyFault[] = [
  ['is rejected with 401', { kind: 'status', status: 401 }],
  ['is rejected with 403', { kind: 'status', status: 403 }],
  ['is rejected with 403 and another code', { kind: 'status', status: 403, body: faultBody('3100') }],
  ['is rejected with 400', { kind: 'status', status: 400 }],
  ['is rejected with 404', { kind: 'status', status: 404 }],
  ['returns a Fault with 200', { kind: 'json', body: faultBody('610') }],
  ['returns a page', { kind: 'html' }],
  ['returns nothing', { kind: 'empty' }],
  ['is redirected', { kind: 'redirect' }],
];

describeEachDatabase('a callback', (createDatabase) => {
  const harness = useHarness(createDatabase, {
    isolated: true,
    frozen: true,
    env: { PROVIDER_TIMEOUT_MS: String(TIMEOUT_MS) },
  });

  it('stores a proven connection with its company’s name', async () => {
    const realmId = await harness.connect('acme');
    const row = await harness.row('acme');
    expect(row).toMatchObject({ is_active: 1, realm_id: realmId, company_name: `Sandbox Company ${realmId}` });
    expect(new Date(row.last_verified_at ?? 0)).toEqual(harness.clock.now());
    expect(await harness.eventTypes('acme')).toEqual(['connected']);
  });

  it.each(UNPROVEN)('connects unproven if the company request %s, and the worker proves it later', async (_, fault) => {
    const realmId = await connectWith(fault);
    expect(await harness.row('acme')).toMatchObject({ is_active: 1, company_name: null, last_verified_at: null });
    expect(await harness.eventTypes('acme')).toEqual(['connected']);
    harness.simulator.clearFaults();
    await harness.runWorker(1 * MINUTES, 1 * MINUTES);
    const row = await harness.row('acme');
    expect(row).toMatchObject({ is_active: 1, company_name: `Sandbox Company ${realmId}` });
    expect(new Date(row.last_verified_at ?? 0)).toEqual(harness.clock.now());
  });

  it.each(DENIED)(
    'rejects with company_mismatch if the company request %s: nothing is stored or revoked',
    async (_, fault) => {
      expect(await codeOf(connectWith(fault, '4711'))).toBe('company_mismatch');
      expect(await harness.rows('acme')).toEqual([]);
      expect(await harness.events('acme')).toMatchObject([
        { type: 'company_mismatch', realm_id: '4711', actor: 'billing', reason: null },
      ]);
      expect([harness.revocations(), await harness.pendingRevocations()]).toEqual([0, []]);
      expect(harness.simulator.grantFor('4711')?.revoked).toBe(false);
    },
  );

  it('logs status and code of a rejected company request', async () => {
    await codeOf(connectWith({ kind: 'status', status: 403, body: faultBody('3100') }, '4711'));
    const line = harness.logs.findLast((text) => text.includes('connect.company_mismatch'));
    expect(JSON.parse(line ?? '{}')).toMatchObject({
      level: 40,
      organization_id: 'acme',
      realm_id: '4711',
      status: 403,
      reason: '3100',
      intuit_tid: (await harness.events('acme'))[0]?.intuit_tid,
    });
  });

  it('keeps the organization’s existing connection if the new company does not match', async () => {
    await harness.connect('acme');
    const before = await harness.row('acme');
    expect(await codeOf(connectWith({ kind: 'status', status: 403 }))).toBe('company_mismatch');
    expect(await harness.row('acme')).toEqual(before);
    expect(await harness.use('acme')).toBe(200);
  });

  it.each<[string, Omit<Fault, 'on'> | undefined, boolean]>([
    ['defers a company’s pending revocations once the company is proven', undefined, true],
    ['does not defer them if the company is unproven', { kind: 'status', status: 503 }, false],
    ['does not defer them if the company does not match', { kind: 'status', status: 403 }, false],
  ])('%s', async (_, fault, isDeferred) => {
    const realmId = await harness.connect('before');
    harness.simulator.fail({ on: 'revoke', kind: 'status', status: 503 });
    await harness.disconnect('before');
    const [before] = await harness.pendingRevocations();
    await connectWith(fault, realmId).catch(() => undefined);
    const [after] = await harness.pendingRevocations();
    expect(after).toMatchObject({ revocation_id: before?.revocation_id, attempts: 1 });
    if (isDeferred) expect(new Date(after?.next_attempt_at ?? 0)).toEqual(fromNow(2 * MINUTES));
    else expect(after).toEqual(before);
  });

  it('defers no other company’s revocations', async () => {
    await harness.connect('before');
    harness.simulator.fail({ on: 'revoke', kind: 'status', status: 503 });
    await harness.disconnect('before');
    const before = await harness.pendingRevocations();
    await harness.connect('acme');
    expect(await harness.pendingRevocations()).toEqual(before);
  });

  /** Connects `acme` while the company request fails like this. Returns the company. */
  async function connectWith(fault: Omit<Fault, 'on'> | undefined, realmId?: string): Promise<string> {
    if (fault) harness.simulator.fail({ on: 'companyinfo', ...fault });
    const connecting = harness.connect('acme', realmId);
    if (fault?.kind === 'hang') {
      await until(() => harness.simulator.callsTo('api').length > 0);
      harness.clock.advance(TIMEOUT_MS);
    }
    return connecting;
  }

  function fromNow(milliseconds: number): Date {
    return new Date(harness.clock.now().getTime() + milliseconds);
  }
});

describe('a connection that is interrupted', () => {
  const harness = useHarness(createSqlite, { env: { PROVIDER_TIMEOUT_MS: String(TIMEOUT_MS) } });
  const connectTo = (organization: string, realmId?: string) =>
    connect(harness.service, harness.simulator, organization, realmId ? { realmId } : {});
  afterEach(() => {
    jest.restoreAllMocks();
  });

  it('is completed although the browser leaves in the middle of the callback', async () => {
    const { service, simulator } = harness;
    const flow = await consent(service, simulator, 'impatient');
    const release = simulator.hold({ on: 'companyinfo', kind: 'slow' });
    const leaving = request(`${service.origin}${flow.path}`, { headers: { cookie: flow.cookie } });
    leaving.on('error', () => undefined).end();
    await until(() => simulator.callsTo('api').length > 0);
    leaving.destroy();
    release();
    await until(async () => (await harness.activeRows('impatient')).length > 0);
    expect(await status(service, 'impatient')).toMatchObject({ connected: true });
    expect(simulator.callsTo('token')).toHaveLength(1);
  });

  it('is connected although the database becomes unavailable after the connection was stored', async () => {
    await connectTo('stored', '1');
    const read = jest.spyOn(harness.home.tokens, 'isCompanyConnected').mockRejectedValue(UNAVAILABLE);
    expect((await connectTo('stored', '2')).status).toBe(302);
    expect(read).toHaveBeenCalled();
    expect(await status(harness.service, 'stored')).toMatchObject({ connected: true, realm_id: '2' });
    expect(await harness.pendingRevocations()).toMatchObject([{ realm_id: '1', attempts: 1 }]);
  });

  it('is disconnected although the database becomes unavailable after the connection was ended', async () => {
    await connectTo('ended', '3');
    jest.spyOn(harness.home.tokens, 'isCompanyConnected').mockRejectedValue(UNAVAILABLE);
    expect((await disconnect(harness.service, 'ended')).status).toBe(200);
    expect(await status(harness.service, 'ended')).toMatchObject({ connected: false, needs_reauthorization: false });
  });

  it('is disconnected without waiting longer than one call may take for Intuit', async () => {
    await connectTo('hanging', '5');
    harness.simulator.fail({ on: 'revoke', kind: 'hang' });
    const response = disconnect(harness.service, 'hanging').then(({ status: code }) => code);
    await until(() => harness.revocations() === 1);
    expect(await status(harness.service, 'hanging')).toMatchObject({ connected: false });
    harness.clock.advance(TIMEOUT_MS);
    expect(await response).toBe(200);
  });

  it('is stored once when the database is available again', async () => {
    const store = jest.spyOn(harness.home.tokens, 'replaceCurrent').mockRejectedValueOnce(UNAVAILABLE);
    expect((await connectTo('patient')).status).toBe(302);
    expect(store).toHaveBeenCalledTimes(2);
    expect(await harness.rows('patient')).toHaveLength(1);
  });

  it('is rejected with service_unavailable if the database stays unavailable', async () => {
    const store = jest.spyOn(harness.home.tokens, 'replaceCurrent').mockRejectedValue(UNAVAILABLE);
    const connecting = connectTo('unstored', '4');
    await until(() => store.mock.calls.length > 0);
    harness.clock.advance(TIMEOUT_MS);
    const response = await connecting;
    expectProblem(response, 503, 'service_unavailable');
    expectRetryAfter(response);
    expect(harness.simulator.callsTo('token')).toHaveLength(1);
    expect(await harness.rows('unstored')).toEqual([]);
    store.mockRestore();
    await harness.home.backgroundTasks.drain();
    expect(await status(harness.service, 'unstored')).toMatchObject({ connected: true, realm_id: '4' });
  });

  it('is rejected with internal_error, without details, after an internal fault', async () => {
    const flow = await consent(harness.service, harness.simulator, 'faulty');
    jest.spyOn(harness.home.tokens, 'replaceCurrent').mockRejectedValue(new TypeError('canary of the inside'));
    const before = harness.logs.length;
    const response = await callback(harness.service, flow);
    expectProblem(response, 500, 'internal_error');
    expect(response.text).not.toContain('canary');
    const lines = harness.logs.slice(before).map((line) => JSON.parse(line));
    expect(lines.filter(({ level }) => level >= 50)).toMatchObject([
      { request_id: response.headers['x-request-id'], err: { message: 'canary of the inside' } },
    ]);
    jest.restoreAllMocks();
    await harness.runWorker(3 * MINUTES, 3 * MINUTES);
    expect(await status(harness.service, 'faulty')).toMatchObject({ connected: true }); // the grant was not lost
  });

  itKeptSecrets(harness);
});

/** A Fault as QuickBooks returns it. */
function faultBody(code: string): object {
  return { Fault: { Error: [{ Message: 'canary', code }], type: 'SERVICE' }, time: '2026-02-10T14:00:00.000Z' };
}
