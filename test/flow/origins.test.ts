import { describe, expect, it } from '@jest/globals';
import supertest from 'supertest';
import { createSqlite } from '../support/databases.ts';
import { FRONTEND_URL } from '../support/environment.ts';
import { useHarness } from '../support/harness.ts';
import { expectProblem, PREFIX } from '../support/requests.ts';

const OWN_ORIGIN = 'http://localhost:8080';

describe('a request of a web page', () => {
  const harness = useHarness(createSqlite);
  const http = () => supertest(harness.service.origin);

  it.each([`${PREFIX}/status/acme`, `${PREFIX}/disconnect/acme`])(
    'is allowed by the preflight of %s if the page is the frontend’s',
    async (path) => {
      const response = await http().options(path).set({
        Origin: FRONTEND_URL,
        'Access-Control-Request-Method': 'POST',
        'Access-Control-Request-Headers': 'authorization',
      });
      expect(response.status).toBe(204);
      expect(response.headers).toMatchObject({
        'access-control-allow-origin': FRONTEND_URL,
        'access-control-allow-headers': 'Authorization,Content-Type,X-Request-Id',
        'access-control-allow-methods': expect.stringContaining('POST'),
        vary: expect.stringContaining('Origin'),
      });
      expect(response.headers).not.toHaveProperty('access-control-allow-credentials');
    },
  );

  it('gets a response that the frontend can read, even if it is an error', async () => {
    for (const path of [`${PREFIX}/status/acme`, '/nowhere']) {
      const { headers } = await http().get(path).set('Origin', FRONTEND_URL);
      expect(headers['access-control-allow-origin']).toBe(FRONTEND_URL);
      expect(headers['access-control-expose-headers']).toBe(
        'X-Request-Id,Retry-After,RateLimit,RateLimit-Policy,WWW-Authenticate,intuit_tid',
      );
    }
  });

  it.each([
    'https://evil.example',
    'null',
    `${FRONTEND_URL}.evil.example`,
    'http://localhost:5174',
    'https://localhost:5173',
  ])('is not allowed by the preflight, and its POST is rejected, if its origin is %s', async (origin) => {
    const preflight = await http()
      .options(`${PREFIX}/status/acme`)
      .set({ Origin: origin, 'Access-Control-Request-Method': 'GET' });
    expect([origin, '*']).not.toContain(preflight.headers['access-control-allow-origin']);
    expectProblem(await http().post(`${PREFIX}/disconnect/acme`).set('Origin', origin), 403, 'forbidden');
  });

  it.each([undefined, FRONTEND_URL, OWN_ORIGIN])('is accepted as a POST with the Origin %s', async (origin) => {
    await http()
      .post(`${PREFIX}/disconnect/acme`)
      .set(origin ? { Origin: origin } : {})
      .expect(200);
  });

  it('is compared with the configured origins, never with its Host', async () => {
    const forged = { Host: 'evil.example', 'X-Forwarded-Host': 'evil.example', Origin: 'http://evil.example' };
    expectProblem(await http().post(`${PREFIX}/disconnect/acme`).set(forged), 403, 'forbidden');
    const { headers } = await http().get(`${PREFIX}/connect/acme`).set({ Host: 'evil.example' });
    expect(JSON.stringify(headers)).not.toContain('evil.example');
  });
});
