import { describe, expect, it } from '@jest/globals';
import type { Fault } from '../../dev/intuit-simulator/faults.ts';
import { createSqlite } from '../support/databases.ts';
import { callback, changed, expectProblem, expectRetryAfter } from '../support/requests.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { connect, consent, status } from '../support/service.ts';
import { useStage } from '../support/stage.ts';

const COMPANY = '9341452000000001';

describe('a callback while Intuit fails', () => {
  const stage = useStage(createSqlite, { PROVIDER_TIMEOUT_MS: '2000' });

  it.each<[string, Omit<Fault, 'on'>, number, string]>([
    ['refuses the code', { kind: 'invalid_grant' }, 400, 'authorization_code_rejected'],
    ['refuses this service', { kind: 'invalid_client' }, 502, 'provider_error'],
    ['finds the request malformed', { kind: 'invalid_request' }, 502, 'provider_error'],
    ['redirects', { kind: 'redirect', location: '/oauth2/v1/tokens/bearer' }, 502, 'provider_error'],
    ['answers a page', { kind: 'html' }, 502, 'provider_error'],
    ['answers nothing', { kind: 'empty' }, 502, 'provider_error'],
    ['is down', { kind: 'status', status: 503 }, 503, 'provider_unavailable'],
    ['has too much to do', { kind: 'status', status: 429, retryAfter: 17 }, 503, 'provider_unavailable'],
    ['hangs', { kind: 'hang' }, 503, 'provider_unavailable'],
    ['breaks off', { kind: 'drop_after' }, 503, 'provider_unavailable'],
  ])('is told so, and nothing is stored, where the token endpoint %s', async (_, fault, httpStatus, code) => {
    stage.simulator.fail({ on: 'token', ...fault });
    const answer = await connect(stage.service, stage.simulator, 'org');
    expectProblem(answer, httpStatus, code);
    if (httpStatus === 503) expectRetryAfter(answer);
    if (fault.retryAfter) expect(answer.headers['retry-after']).toBe('17');
    expect(stage.simulator.callsTo('token')).toHaveLength(1);
    expect(stage.simulator.callsTo('api')).toEqual([]);
    expect(await stage.rows('org')).toEqual([]);
  });

  it.each<[string, Omit<Fault, 'on'>, number]>([
    ['an error, as someone must act, where Intuit refuses this service', { kind: 'invalid_client' }, 50],
    ['a warning where Intuit is down', { kind: 'status', status: 503 }, 40],
  ])('is logged with Intuit’s transaction id: %s', async (_, fault, level) => {
    const before = stage.service.logs.length;
    stage.simulator.fail({ on: 'token', ...fault });
    await connect(stage.service, stage.simulator, 'logged');
    const { intuitTid } = stage.simulator.callsTo('token')[0] ?? {};
    const lines = stage.service.logs.slice(before).filter((line) => line.includes(String(intuitTid)));
    expect(lines.map((line) => JSON.parse(line).level)).toEqual([level]);
  });

  it('hands on a wait in whole seconds, however long Intuit would like it', async () => {
    stage.simulator.fail({ on: 'token', kind: 'status', status: 503, retryAfter: '9'.repeat(40) });
    expectRetryAfter(await connect(stage.service, stage.simulator, 'org'));
  });

  it.each<[string, Omit<Fault, 'on'>]>([
    ['500', { kind: 'status', status: 500 }],
    ['429', { kind: 'status', status: 429, retryAfter: 60 }],
    ['a page', { kind: 'html' }],
    ['a Fault with 200', { kind: 'json', body: { Fault: { type: 'SystemFault' } } }],
    ['a redirect', { kind: 'redirect' }],
    ['nothing', { kind: 'hang' }],
    ['half an answer', { kind: 'truncate' }],
  ])('connects without the company’s name where companyinfo is %s', async (_, fault) => {
    stage.simulator.fail({ on: 'companyinfo', ...fault });
    expect((await connect(stage.service, stage.simulator, 'nameless')).status).toBe(302);
    expect(await status(stage.service, 'nameless')).toMatchObject({ connected: true, company_name: null });
    expect(stage.simulator.callsTo('revoke')).toEqual([]);
  });

  it('is company_mismatch where the realmId was changed on the way', async () => {
    const flow = await consent(stage.service, stage.simulator, 'mismatch', { realmId: COMPANY });
    const path = changed(flow.path, { realmId: '9341452000000002' });
    expectProblem(await callback(stage.service, { ...flow, path }), 400, 'company_mismatch');
    await expectRevokedAndNotStored('mismatch');
  });

  it('is company_mismatch where the company is of the other environment', async () => {
    stage.simulator.setCompany('403', undefined);
    expectProblem(
      await connect(stage.service, stage.simulator, 'foreign', { realmId: '403' }),
      400,
      'company_mismatch',
    );
    expect(stage.simulator.grantFor('403')?.revoked).toBe(true);
    expect(await stage.rows('foreign')).toEqual([]);
  });

  it('is company_mismatch though the revocation fails, and leaves an earlier connection alone', async () => {
    await connect(stage.service, stage.simulator, 'kept', { realmId: '5' });
    stage.simulator.fail({ on: 'revoke', kind: 'hang' });
    const flow = await consent(stage.service, stage.simulator, 'kept', { realmId: COMPANY });
    const path = changed(flow.path, { realmId: '9341452000000002' });
    expectProblem(await callback(stage.service, { ...flow, path }), 400, 'company_mismatch');
    expect(await status(stage.service, 'kept')).toMatchObject({ connected: true, realm_id: '5' });
    expect(stage.simulator.grantFor('5')?.revoked).toBe(false);
  });

  async function expectRevokedAndNotStored(organizationId: string) {
    const grant = stage.simulator.grantFor(COMPANY);
    expect(stage.simulator.callsTo('revoke')).toMatchObject([{ body: { token: grant?.refreshToken } }]);
    expect(grant?.revoked).toBe(true);
    expect(await stage.rows(organizationId)).toEqual([]);
    expect(await status(stage.service, organizationId)).toMatchObject({ connected: false });
  }

  itKeptSecrets(stage);
});
