import { describe, expect, it } from '@jest/globals';
import { createSqlite } from '../support/databases.ts';
import { FRONTEND_URL } from '../support/environment.ts';
import { useHarness } from '../support/harness.ts';
import { callback, changed, expectProblem, PREFIX } from '../support/requests.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { consent } from '../support/service.ts';

type Changes = Record<string, string | string[] | undefined>;

describe('the callback', () => {
  const harness = useHarness(createSqlite);

  it.each<[Changes, string]>([
    [{ state: undefined }, 'state is required'],
    [{ state: '' }, 'state is required'],
    [{ state: ['a', 'b'] }, 'state must be given once'],
    [{ realmId: undefined }, 'realmId is required'],
    [{ realmId: '' }, 'realmId is required'],
    [{ realmId: ['1', '1'] }, 'realmId must be given once'],
    [{ realmId: '12a' }, 'realmId must be 1 to 32 digits'],
    [{ realmId: '1'.repeat(33) }, 'realmId must be 1 to 32 digits'],
    [{ realmId: '-1' }, 'realmId must be 1 to 32 digits'],
    [{ realmId: '1\n' }, 'realmId must be 1 to 32 digits'],
    [{ realmId: '٣' }, 'realmId must be 1 to 32 digits'],
    [{ realmId: '../../1' }, 'realmId must be 1 to 32 digits'],
    [{ code: undefined }, 'code is required'],
    [{ code: '' }, 'code is required'],
    [{ code: ['a', 'b'] }, 'code must be given once'],
    [{ code: 'x'.repeat(513) }, 'code must be at most 512 characters'],
    [{ error: '' }, 'error is required'],
    [{ error: ['access_denied', 'access_denied'] }, 'error must be given once'],
    [{ error: 'access_denied', state: undefined }, 'state is required'],
    [{ error: 'access_denied', state: ['a', 'b'] }, 'state must be given once'],
  ])('rejects the parameters %j by name, without consuming the state', async (changes, detail) => {
    const { service, simulator } = harness;
    const flow = await consent(service, simulator, 'org');
    simulator.resetCalls();
    const response = await callback(service, { ...flow, path: changed(flow.path, changes) });
    expectProblem(response, 400, 'invalid_request');
    expect(response.body.detail).toContain(detail);
    expect(simulator.calls).toEqual([]);
    expect((await callback(service, flow)).status).toBe(302);
  });

  it('ignores unknown parameters', async () => {
    const { service, simulator } = harness;
    const flow = await consent(service, simulator, 'extra');
    const extra = {
      error_description: 'x',
      redirectUri: 'https://evil.example',
      organization_id: 'other',
      __proto__x: 'y',
    };
    expect((await callback(service, { ...flow, path: changed(flow.path, extra) })).status).toBe(302);
    const { redirectUri } = service.config.quickbooks;
    expect(simulator.callsTo('token')[0]?.body).toMatchObject({ redirect_uri: redirectUri });
    expect(await harness.activeRows('extra')).toHaveLength(1);
  });

  it('accepts a code of 512 characters', async () => {
    const flow = await consent(harness.service, harness.simulator, 'long');
    const path = changed(flow.path, { code: 'x'.repeat(512) });
    expectProblem(await callback(harness.service, { ...flow, path }), 400, 'authorization_code_rejected');
  });

  it.each([
    'invalid_request',
    'unauthorized_client',
    'access_denied',
    'unsupported_response_type',
    'invalid_scope',
    'server_error',
    'temporarily_unavailable',
  ])('redirects to the frontend with the error %s', async (error) => {
    expect(await returnedError(error)).toBe(error);
  });

  it.each(['Access_Denied', 'access_denied ', 'x&connected=true', '<script>', 'toString', '__proto__'])(
    'redirects to the frontend with server_error for the unknown error %j',
    async (error) => {
      expect(await returnedError(error)).toBe('server_error');
    },
  );

  it('logs an error that RFC 6749 does not define, if it has the form of one', async () => {
    const original = (error: string) => harness.logs.filter((line) => line.includes(`"reason":"${error}"`));
    for (const error of ['app_already_purchased', 'eyJ-canary-Token'])
      expect(await returnedError(error)).toBe('server_error');
    expect(original('app_already_purchased').map((line) => JSON.parse(line))).toMatchObject([
      { level: 40, event: 'connect.unknown_error', organization_id: 'no' },
    ]);
    expect(original('eyJ-canary-Token')).toEqual([]);
  });

  it('requires neither code nor realmId if there is an error, and ignores them', async () => {
    const flow = await consent(harness.service, harness.simulator, 'both');
    const path = changed(flow.path, { error: 'access_denied', realmId: ['x', 'y'] });
    const response = await callback(harness.service, { ...flow, path });
    expect(response.headers['location']).toContain('error=access_denied');
    expect(harness.simulator.callsTo('token')).toEqual([]);
  });

  it('rejects a forged state even if there is an error', async () => {
    const path = `${PREFIX}/callback?error=access_denied&state=x`;
    expectProblem(await callback(harness.service, { path, cookie: '' }), 400, 'invalid_state');
  });

  async function returnedError(error: string): Promise<string | undefined> {
    const flow = await consent(harness.service, harness.simulator, 'no');
    const path = changed(flow.path, { error, code: undefined, realmId: undefined });
    const { headers, status } = await callback(harness.service, { ...flow, path });
    expect(status).toBe(302);
    const start = `${FRONTEND_URL}/settings/integrations?connected=false&system=quickbooks&error=`;
    expect(headers['location']?.slice(0, start.length)).toBe(start);
    return headers['location']?.slice(start.length);
  }

  itKeptSecrets(harness);
});
