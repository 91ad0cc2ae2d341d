import { beforeAll, describe, expect, it } from '@jest/globals';
import supertest from 'supertest';
import { migrateDown, migrateUp } from '../../src/db/migrations.ts';
import { createSqlite, describeEachDatabase } from '../support/databases.ts';
import { useHarness } from '../support/harness.ts';
import { callback, expectProblem, expectRetryAfter, PREFIX } from '../support/requests.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { connect, consent, disconnect } from '../support/service.ts';

const READY = { database: 'ok', migrations: 'ok', encryption_key: 'ok' };
const CALLBACK = 'https://api.octup.com/api/v1/oauth/quickbooks/callback';

describeEachDatabase('production with a database that is not migrated', (createDatabase) => {
  const harness = useHarness(createDatabase, { env: { NODE_ENV: 'production' } });
  const http = () => supertest(harness.service.origin);
  beforeAll(() => migrateDown(harness.knex));

  it('returns 503 from /readyz and from every route that needs it, without exchanging a code', async () => {
    const { service, simulator } = harness;
    const { status, body } = await http().get('/readyz');
    expect([status, body]).toEqual([503, { status: 'unavailable', checks: { ...READY, migrations: 'pending' } }]);
    await http().get('/healthz').expect(200, { status: 'ok' });

    const responses = [
      await connect(service, simulator, 'org'),
      await http().get(`${PREFIX}/status/org`),
      await disconnect(service, 'org'),
    ];
    for (const response of responses) {
      expectProblem(response, 503, 'service_unavailable');
      expectRetryAfter(response);
    }
    expect(simulator.callsTo('token')).toEqual([]);
  });

  it('serves requests as soon as it is migrated, and the same callback succeeds', async () => {
    const flow = await consent(harness.service, harness.simulator, 'org');
    expectProblem(await callback(harness.service, flow), 503, 'service_unavailable');
    await migrateUp(harness.knex);
    await http().get('/readyz').expect(200, { status: 'ready', checks: READY });
    expect((await callback(harness.service, flow)).status).toBe(302);
  });

  itKeptSecrets(harness);
});

describe('production', () => {
  const env = { NODE_ENV: 'production', QBO_REDIRECT_URI: CALLBACK, FRONTEND_URL: 'https://octup.com/app/' };
  const harness = useHarness(createSqlite, { env });
  const http = () => supertest(harness.service.origin);

  it('returns Strict-Transport-Security', async () => {
    const { headers } = await http().get('/healthz');
    expect(headers['strict-transport-security']).toMatch(/^max-age=\d{8}/);
  });

  it('sets a cookie that is sent only over https, that no other host can set, and only until the state expires', async () => {
    const { headers } = await http().get(`${PREFIX}/connect/org`);
    const [cookie = ''] = headers['set-cookie'] ?? [];
    const attributes = cookie
      .split('; ')
      .slice(1)
      .filter((part: string) => !part.startsWith('Expires'))
      .sort();
    expect(attributes).toEqual(['HttpOnly', 'Max-Age=600', 'Path=/', 'SameSite=Lax', 'Secure']);
    expect(cookie).toMatch(/^__Host-oauth_[\w-]{16}=[\w-]{22};/);
  });

  it('redirects below the path of FRONTEND_URL, and accepts a POST of its origin', async () => {
    const flow = await consent(harness.service, harness.simulator, 'org', { consent: false });
    const { headers } = await callback(harness.service, flow);
    expect(headers['location']).toBe(
      'https://octup.com/app/settings/integrations?connected=false&system=quickbooks&error=access_denied',
    );
    await http().post(`${PREFIX}/disconnect/org`).set('Origin', 'https://octup.com').expect(200);
    await http().post(`${PREFIX}/disconnect/org`).set('Origin', 'https://api.octup.com').expect(200);
  });
});
