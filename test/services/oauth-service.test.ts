import { request } from 'node:http';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { OAuthTokenDatastore } from '../../src/datastores/oauth-token-datastore.ts';
import { AppError } from '../../src/errors.ts';
import { createSqlite } from '../support/databases.ts';
import { callback, expectProblem, expectRetryAfter } from '../support/requests.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { connect, consent, disconnect, status } from '../support/service.ts';
import { useStage } from '../support/stage.ts';

const AWAY = new AppError('service_unavailable', 'The service cannot reach its database just now.', 5);

describe('a connection’s life, disturbed', () => {
  const stage = useStage(createSqlite, { PROVIDER_TIMEOUT_MS: '500' });
  afterEach(() => {
    jest.restoreAllMocks();
  });

  it('goes on to its end though the browser leaves in the middle of the callback', async () => {
    const flow = await consent(stage.service, stage.simulator, 'impatient');
    stage.simulator.fail({ on: 'companyinfo', kind: 'slow', delayMs: 200 });
    const leaving = request(`${stage.service.origin}${flow.path}`, { headers: { cookie: flow.cookie } }).on(
      'error',
      () => undefined,
    );
    leaving.end();
    await until(() => stage.simulator.callsTo('api').length > 0);
    leaving.destroy();
    await until(async () => (await stage.activeRows('impatient')).length > 0);
    expect(await status(stage.service, 'impatient')).toMatchObject({ connected: true });
    expect(stage.simulator.callsTo('token')).toHaveLength(1);
  });

  it('is connected where the database went away as soon as the connection was stored', async () => {
    await connect(stage.service, stage.simulator, 'stored', { realmId: '1' });
    const spy = jest.spyOn(OAuthTokenDatastore.prototype, 'isCompanyConnected').mockRejectedValue(AWAY);
    const answer = await connect(stage.service, stage.simulator, 'stored', { realmId: '2' });
    expect(spy).toHaveBeenCalled();
    expect(answer.status).toBe(302);
    expect(await status(stage.service, 'stored')).toMatchObject({ connected: true, realm_id: '2' });
  });

  it('is disconnected where the database went away as soon as the connection was ended', async () => {
    await connect(stage.service, stage.simulator, 'ended', { realmId: '3' });
    jest.spyOn(OAuthTokenDatastore.prototype, 'isCompanyConnected').mockRejectedValue(AWAY);
    expect((await disconnect(stage.service, 'ended')).status).toBe(200);
    expect(await status(stage.service, 'ended')).toMatchObject({ connected: false });
  });

  it('waits for a database that is away when the grant is to be stored, and stores it once', async () => {
    const spy = jest.spyOn(OAuthTokenDatastore.prototype, 'replaceActive').mockRejectedValueOnce(AWAY);
    expect((await connect(stage.service, stage.simulator, 'patient')).status).toBe(302);
    expect(spy).toHaveBeenCalledTimes(2);
    expect(await stage.rows('patient')).toHaveLength(1);
  });

  it('is service_unavailable where the database stays away', async () => {
    jest.spyOn(OAuthTokenDatastore.prototype, 'replaceActive').mockRejectedValue(AWAY);
    const answer = await connect(stage.service, stage.simulator, 'lost', { realmId: '4' });
    expectProblem(answer, 503, 'service_unavailable');
    expectRetryAfter(answer);
    expect(stage.simulator.callsTo('token')).toHaveLength(1);
    expect(await stage.rows('lost')).toEqual([]);
  });

  it('is internal_error where a fault of ours shows, and tells nothing of it', async () => {
    const flow = await consent(stage.service, stage.simulator, 'faulty');
    jest.spyOn(OAuthTokenDatastore.prototype, 'replaceActive').mockRejectedValue(new TypeError('canary of the inside'));
    const answer = await callback(stage.service, flow);
    expectProblem(answer, 500, 'internal_error');
    expect(answer.text).not.toContain('canary');
    const errors = stage.service.logs.map((line) => JSON.parse(line)).filter(({ level }) => level === 50);
    expect(errors).toMatchObject([
      { request_id: answer.headers['x-request-id'], err: { message: 'canary of the inside' } },
    ]);
  });

  itKeptSecrets(stage);
});

async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await new Promise((resolve) => setImmediate(resolve));
}
