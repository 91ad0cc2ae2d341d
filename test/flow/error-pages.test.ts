import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import supertest, { type Response } from 'supertest';
import { errorPage } from '../../src/middleware/error-page.ts';
import { createSqlite } from '../support/databases.ts';
import { FRONTEND_URL } from '../support/environment.ts';
import { useHarness } from '../support/harness.ts';
import { expectProblem, PREFIX } from '../support/requests.ts';

const CHROME = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8';

describe('an error on a route that users open', () => {
  const harness = useHarness(createSqlite);
  const get = (path: string, accept: string) => supertest(harness.service.origin).get(path).set('Accept', accept);

  it.each([
    [`${PREFIX}/callback`, 400, 'state is required'],
    [`${PREFIX}/callback?state=x&code=y&realmId=1`, 400, 'was not started by this service'],
    [`${PREFIX}/connect/a.b`, 400, 'organization_id must be'],
    [`${PREFIX}/connect/%E0%A4%A`, 400, ''],
  ])('is returned as a page to a browser: %s', async (path, status, text) => {
    for (const accept of [CHROME, 'text/html']) expectPage(await get(path, accept), status, text);
  });

  it('is returned as a page to a browser that uses a wrong method', async () => {
    const response = await supertest(harness.service.origin).put(`${PREFIX}/callback`).set('Accept', CHROME);
    expectPage(response, 405, '');
  });

  it.each(['*/*', 'application/json', 'application/json, text/html;q=0.9', 'text/plain', ''])(
    'is returned as JSON to a client that accepts %j',
    async (accept) => {
      expectProblem(await get(`${PREFIX}/callback`, accept), 400, 'invalid_request');
    },
  );

  it.each([`${PREFIX}/status/a.b`, '/nowhere'])(
    'is returned as JSON to a browser on the other route %s',
    async (path) => {
      const response = await get(path, CHROME);
      expect(response.headers['content-type']).toMatch(/^application\/problem\+json/);
    },
  );

  it('is returned as a page in which every text is escaped', () => {
    const page = errorPage({ detail: `<b>"it's" & more</b>`, requestId: '<i>', frontendUrl: 'https://h/"><script>' });
    expect(page).toContain('<p>&#60;b&#62;&#34;it&#39;s&#34; &#38; more&#60;/b&#62;</p>');
    expect(page).not.toMatch(/<script|<b>|<i>|"it/);
  });

  function expectPage({ headers, status: actual, text: page }: Response, status: number, text: string): void {
    expect([actual, headers['content-type']]).toEqual([status, 'text/html; charset=utf-8']);
    expect(headers['vary']).toContain('Accept');
    expect(headers['cache-control']).toBe('no-store');
    expect(page).toContain(text);
    expect(page).toContain(headers['x-request-id']);
    expect(page).toContain(`href="${FRONTEND_URL}/settings/integrations"`);
    expect(page).not.toMatch(/<script|<img| style=| on\w+=/i);
    const style = /<style>(.*)<\/style>/s.exec(page)?.[1] ?? '';
    const hash = createHash('sha256').update(style).digest('base64');
    expect(headers['content-security-policy']).toContain(`style-src 'sha256-${hash}'`);
  }
});
