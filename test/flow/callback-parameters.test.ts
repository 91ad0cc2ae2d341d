import { describe, expect, it } from '@jest/globals';
import { createSqlite } from '../support/databases.ts';
import { FRONTEND_URL } from '../support/environment.ts';
import { callback, changed, expectProblem, PREFIX } from '../support/requests.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { consent } from '../support/service.ts';
import { useStage } from '../support/stage.ts';

type Changes = Record<string, string | string[] | undefined>;

describe('the callback’s parameters', () => {
  const stage = useStage(createSqlite);

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
  ])('that are wrong are named, and spend nothing: %j', async (changes, detail) => {
    const flow = await consent(stage.service, stage.simulator, 'org');
    stage.simulator.resetCalls();
    const answer = await callback(stage.service, { ...flow, path: changed(flow.path, changes) });
    expectProblem(answer, 400, 'invalid_request');
    expect(answer.body.detail).toContain(detail);
    expect(stage.simulator.calls).toEqual([]);
    expect((await callback(stage.service, flow)).status).toBe(302);
  });

  it('that nobody knows are ignored', async () => {
    const flow = await consent(stage.service, stage.simulator, 'extra');
    const extra = {
      error_description: 'x',
      redirectUri: 'https://evil.example',
      organization_id: 'other',
      __proto__x: 'y',
    };
    expect((await callback(stage.service, { ...flow, path: changed(flow.path, extra) })).status).toBe(302);
    expect(stage.simulator.callsTo('token')[0]?.body).toMatchObject({
      redirect_uri: stage.service.config.quickbooks.redirectUri,
    });
    expect(await stage.activeRows('extra')).toHaveLength(1);
  });

  it('may hold a code of 512 characters', async () => {
    const flow = await consent(stage.service, stage.simulator, 'long');
    const answer = await callback(stage.service, { ...flow, path: changed(flow.path, { code: 'x'.repeat(512) }) });
    expectProblem(answer, 400, 'authorization_code_rejected');
  });

  it.each([
    'invalid_request',
    'unauthorized_client',
    'access_denied',
    'unsupported_response_type',
    'invalid_scope',
    'server_error',
    'temporarily_unavailable',
  ])('hand the error %s to the frontend', async (error) => {
    expect(await outcomeOf(error)).toBe(error);
  });

  it.each(['Access_Denied', 'access_denied ', 'x&connected=true', '<script>', 'toString', '__proto__'])(
    'hand the unknown error %j to the frontend as server_error',
    async (error) => {
      expect(await outcomeOf(error)).toBe('server_error');
    },
  );

  it('need no code and no realmId where error stands, and do not mind them', async () => {
    const flow = await consent(stage.service, stage.simulator, 'both');
    const path = changed(flow.path, { error: 'access_denied', realmId: ['x', 'y'] });
    const answer = await callback(stage.service, { ...flow, path });
    expect(answer.headers['location']).toContain('error=access_denied');
    expect(stage.simulator.callsTo('token')).toEqual([]);
  });

  it('are wanted of an error’s state too: forged is invalid_state', async () => {
    expectProblem(
      await callback(stage.service, { path: `${PREFIX}/callback?error=access_denied&state=x`, cookie: '' }),
      400,
      'invalid_state',
    );
  });

  async function outcomeOf(error: string): Promise<string | undefined> {
    const flow = await consent(stage.service, stage.simulator, 'no');
    const path = changed(flow.path, { error, code: undefined, realmId: undefined });
    const { headers, status } = await callback(stage.service, { ...flow, path });
    expect(status).toBe(302);
    const start = `${FRONTEND_URL}/settings/integrations?connected=false&system=quickbooks&error=`;
    expect(headers['location']?.slice(0, start.length)).toBe(start);
    return headers['location']?.slice(start.length);
  }

  itKeptSecrets(stage);
});
