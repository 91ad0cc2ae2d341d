import { describe, expect, it } from '@jest/globals';
import supertest from 'supertest';
import { migrateUp } from '../../src/db/migrations.ts';
import { createSqlite, describeEachDatabase } from '../support/databases.ts';
import { callback, expectProblem, expectRetryAfter, PREFIX } from '../support/requests.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { connect, consent, disconnect } from '../support/service.ts';
import { useStage } from '../support/stage.ts';

const CALLBACK = 'https://api.octup.com/api/v1/oauth/quickbooks/callback';

describeEachDatabase('a database that nobody migrated, in production,', (createDatabase) => {
  const stage = useStage(createDatabase, { NODE_ENV: 'production' });
  const http = () => supertest(stage.service.origin);

  it('is told by /readyz and by every route that needs it, and no code is spent', async () => {
    const { status, body } = await http().get('/readyz');
    expect([status, body]).toEqual([503, { status: 'unavailable', checks: { database: 'ok', migrations: 'pending' } }]);
    await http().get('/healthz').expect(200, { status: 'ok' });

    const answers = [
      await connect(stage.service, stage.simulator, 'org'),
      await http().get(`${PREFIX}/status/org`),
      await disconnect(stage.service, 'org'),
    ];
    for (const answer of answers) {
      expectProblem(answer, 503, 'service_unavailable');
      expectRetryAfter(answer);
    }
    expect(stage.simulator.callsTo('token')).toEqual([]);
  });

  it('serves at once when it is migrated, and the same callback goes through', async () => {
    const flow = await consent(stage.service, stage.simulator, 'org');
    expectProblem(await callback(stage.service, flow), 503, 'service_unavailable');
    await migrateUp(stage.knex);
    await http()
      .get('/readyz')
      .expect(200, { status: 'ready', checks: { database: 'ok', migrations: 'ok' } });
    expect((await callback(stage.service, flow)).status).toBe(302);
  });

  itKeptSecrets(stage);
});

describe('production', () => {
  const env = { NODE_ENV: 'production', QBO_REDIRECT_URI: CALLBACK, FRONTEND_URL: 'https://octup.com/app/' };
  const stage = useStage(createSqlite, env);
  const http = () => supertest(stage.service.origin);

  it('asks browsers to stay with https', async () => {
    const { headers } = await http().get('/healthz');
    expect(headers['strict-transport-security']).toMatch(/^max-age=\d{8}/);
  });

  it('ties a flow to its browser by a cookie for https, for the callback and for its time alone', async () => {
    const { headers } = await http().get(`${PREFIX}/connect/org`);
    const [cookie = ''] = headers['set-cookie'] ?? [];
    const attributes = cookie
      .split('; ')
      .slice(1)
      .filter((part: string) => !part.startsWith('Expires'))
      .sort();
    expect(attributes).toEqual([
      'HttpOnly',
      'Max-Age=600',
      `Path=${new URL(CALLBACK).pathname}`,
      'SameSite=Lax',
      'Secure',
    ]);
    expect(cookie).toMatch(/^__Secure-oauth_[\w-]{16}=[\w-]{22};/);
  });

  it('keeps the frontend’s path and compares its origin', async () => {
    await migrateUp(stage.knex);
    const flow = await consent(stage.service, stage.simulator, 'org', { consent: false });
    const { headers } = await callback(stage.service, flow);
    expect(headers['location']).toBe(
      'https://octup.com/app/settings/integrations?connected=false&system=quickbooks&error=access_denied',
    );
    await http().post(`${PREFIX}/disconnect/org`).set('Origin', 'https://octup.com').expect(200);
    await http().post(`${PREFIX}/disconnect/org`).set('Origin', 'https://api.octup.com').expect(200);
  });

  it('warns that SQLite serves one replica', () => {
    expect(stage.service.logs.join()).toMatch(/SQLite serves one replica/);
  });
});
