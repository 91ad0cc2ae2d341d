import type { RequestListener } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import supertest from 'supertest';
import { createApp } from '../../src/app.ts';
import { WITH_KEYS } from '../support/credentials.ts';
import { createSqlite } from '../support/databases.ts';
import { useHarness } from '../support/harness.ts';
import { expectProblem } from '../support/requests.ts';

describe('the API reference, which requires no credentials', () => {
  const harness = useHarness(createSqlite, { env: WITH_KEYS });
  const http = () => harness.service.http;

  it('is a page that loads nothing from other hosts and contains no inline script or style', async () => {
    const { headers, text } = await http().get('/docs').expect(200);
    expect(headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-cache, no-store',
    });
    const csp = String(headers['content-security-policy']).split(';');
    expect(csp).toEqual(expect.arrayContaining(["default-src 'none'", "script-src 'self'", "style-src 'self'"]));
    expect(csp).toContain("frame-ancestors 'none'");
    expect(text).not.toMatch(/<style|style=|<script>|https?:/);
  });

  it.each(['/docs', '/docs/', '/prefix/docs', '/prefix/docs/'])('refers only to files beside it: %s', async (path) => {
    const prefix = path.replace(/\/docs\/?$/, '');
    const { text } = await http().get(path.slice(prefix.length));
    for (const [, address = ''] of text.matchAll(/(?:src|href)="([^"]+)"/g)) {
      expect(new URL(address, `https://octup.com${path}`).pathname).toMatch(new RegExp(`^${prefix}/docs/[\\w.-]+$`));
    }
  });

  it('refers only to files that exist and can be cached', async () => {
    const { text } = await http().get('/docs');
    const files = [...text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address]) => String(address));
    expect(files).toHaveLength(5);
    for (const file of files) {
      const { headers } = await http().head(`/${file}`).expect(200);
      expect(headers['cache-control']).toBe('public, max-age=3600');
      expect(headers['content-type']).toMatch(/^(text\/css|text\/javascript|image\/png)/);
      expect(Number(headers['content-length'])).toBeGreaterThan(100);
      await http().get(`/${file}`).set('If-Match', 'another').expect(200);
    }
  });

  it.each(['index.html', 'package.json', 'swagger-ui.css.map', '..%2fpackage.json', '%2e%2e%2fpackage.json'])(
    'does not serve %s',
    async (name) => {
      expectProblem(await http().get(`/docs/${name}`), 404, 'not_found');
    },
  );

  it.each(['/docs/swagger-ui-bundle.js', '/docs/page.js', '/openapi.json'])(
    'sends all responses from the same bytes in memory: %s',
    async (path) => {
      const bodies = new Set<unknown>();
      const app = createApp(harness.home);
      const record: RequestListener = (request, response) => {
        const end = response.end.bind(response) as (...parts: unknown[]) => typeof response;
        response.end = (...parts: unknown[]) => {
          bodies.add(parts[0]);
          return end(...parts);
        };
        app(request, response);
      };
      for (let time = 0; time < 3; time += 1) await supertest(record).get(path).expect(200);
      expect([...bodies]).toEqual([expect.any(Buffer)]);
    },
  );

  it.each(['/docs', '/docs/page.js', '/openapi.json'])('accepts only GET and HEAD: %s', async (path) => {
    await http().head(path).expect(200);
    const rejected = await http().post(path);
    expectProblem(rejected, 405, 'method_not_allowed');
    expect(rejected.headers['allow']).toBe('GET, HEAD');
  });
});
