import { describe, expect, it } from '@jest/globals';
import { WITH_KEYS } from '../support/credentials.ts';
import { createSqlite } from '../support/databases.ts';
import { expectProblem } from '../support/requests.ts';
import { useStage } from '../support/stage.ts';

describe('the reference, open to everybody', () => {
  const stage = useStage(createSqlite, WITH_KEYS);
  const http = () => stage.service.http;

  it('is a page that lets in nothing from other hosts, and no script or style of its own', async () => {
    const { headers, text } = await http().get('/docs').expect(200);
    expect(headers).toMatchObject({ 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
    const csp = String(headers['content-security-policy']).split(';');
    expect(csp).toEqual(expect.arrayContaining(["default-src 'none'", "script-src 'self'", "style-src 'self'"]));
    expect(csp).toContain("frame-ancestors 'none'");
    expect(text).not.toMatch(/<style|style=|<script>|https?:/);
  });

  it('is made of parts that are there, and may be stored', async () => {
    const { text } = await http().get('/docs/');
    const parts = [...text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address]) => String(address));
    expect(parts).toHaveLength(5);
    for (const part of parts) {
      const { headers } = await http().head(part).expect(200);
      expect(headers['cache-control']).toBe('public, max-age=3600');
      expect(headers['content-type']).toMatch(/^(text\/css|text\/javascript|image\/png)/);
      expect(Number(headers['content-length'])).toBeGreaterThan(100);
      await http().get(part).set('If-Match', 'another').expect(200);
    }
  });

  it.each(['index.html', 'package.json', 'swagger-ui.css.map', '..%2fpackage.json', '%2e%2e%2fpackage.json'])(
    'has no part %s',
    async (name) => {
      expectProblem(await http().get(`/docs/${name}`), 404, 'not_found');
    },
  );

  it.each(['/docs', '/docs/page.js', '/openapi.json'])('takes GET and HEAD alone: %s', async (path) => {
    await http().head(path).expect(200);
    const refused = await http().post(path);
    expectProblem(refused, 405, 'method_not_allowed');
    expect(refused.headers['allow']).toBe('GET, HEAD');
  });
});
