import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import supertest, { type Response } from 'supertest';
import { errorPage } from '../../src/middleware/error-page.ts';
import { createSqlite } from '../support/databases.ts';
import { FRONTEND_URL } from '../support/environment.ts';
import { expectProblem, PREFIX } from '../support/requests.ts';
import { useStage } from '../support/stage.ts';

const CHROME = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8';

describe('an error in front of a browser', () => {
  const stage = useStage(createSqlite);
  const get = (path: string, accept: string) => supertest(stage.service.origin).get(path).set('Accept', accept);

  it.each([
    [`${PREFIX}/callback`, 400, 'state is required'],
    [`${PREFIX}/callback?state=x&code=y&realmId=1`, 400, 'was not started here'],
    [`${PREFIX}/connect/a.b`, 400, 'organization_id must be'],
    [`${PREFIX}/connect/%E0%A4%A`, 400, ''],
  ])('is a page: %s', async (path, status, text) => {
    for (const accept of [CHROME, 'text/html']) expectPage(await get(path, accept), status, text);
  });

  it('is a page for a wrong method too', async () => {
    const answer = await supertest(stage.service.origin).put(`${PREFIX}/callback`).set('Accept', CHROME);
    expectPage(answer, 405, '');
  });

  it.each(['*/*', 'application/json', 'application/json, text/html;q=0.9', 'text/plain', ''])(
    'is JSON where %j is accepted',
    async (accept) => {
      expectProblem(await get(`${PREFIX}/callback`, accept), 400, 'invalid_request');
    },
  );

  it.each([`${PREFIX}/status/a.b`, '/nowhere'])('is JSON at %s', async (path) => {
    const answer = await get(path, CHROME);
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  });

  it('has no other text from outside than escaped text', () => {
    const page = errorPage({ detail: `<b>"it's" & more</b>`, requestId: '<i>', frontendUrl: 'https://h/"><script>' });
    expect(page).toContain('<p>&#60;b&#62;&#34;it&#39;s&#34; &#38; more&#60;/b&#62;</p>');
    expect(page).not.toMatch(/<script|<b>|<i>|"it/);
  });

  function expectPage(answer: Response, status: number, text: string): void {
    const { headers } = answer;
    expect([answer.status, headers['content-type']]).toEqual([status, 'text/html; charset=utf-8']);
    expect(headers['vary']).toContain('Accept');
    expect(headers['cache-control']).toBe('no-store');
    expect(answer.text).toContain(text);
    expect(answer.text).toContain(headers['x-request-id']);
    expect(answer.text).toContain(`href="${FRONTEND_URL}/settings/integrations"`);
    expect(answer.text).not.toMatch(/<script|<img| style=| on\w+=/i);
    const style = /<style>(.*)<\/style>/s.exec(answer.text)?.[1] ?? '';
    const hash = createHash('sha256').update(style).digest('base64');
    expect(headers['content-security-policy']).toContain(`style-src 'sha256-${hash}'`);
  }
});
