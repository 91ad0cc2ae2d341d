import { describe, expect, it } from '@jest/globals';
import { type RulesetDefinition, Spectral } from '@stoplight/spectral-core';
import { oas } from '@stoplight/spectral-rulesets';
import { createApp } from '../../src/app.ts';
import { ERRORS } from '../../src/errors.ts';
import { openApiDocument } from '../../src/openapi/document.ts';
import { createSqlite } from '../support/databases.ts';
import { useHarness } from '../support/harness.ts';

describe('the OpenAPI document', () => {
  const harness = useHarness(createSqlite);
  const read = async () => (await harness.service.http.get('/openapi.json').expect(200)).body;

  it('satisfies every rule of Spectral for OpenAPI', async () => {
    const spectral = new Spectral();
    spectral.setRuleset({ extends: [[oas as RulesetDefinition, 'recommended']] });
    const violations = (await spectral.run(await read())).filter(({ message }) => !ROLES_OF_3_1.test(message));
    expect(violations.map(({ code, path, message }) => `${code} at ${path.join('.')}: ${message}`)).toEqual([]);
  });

  it('describes every route of the service, and no other', async () => {
    const { paths } = await read();
    const documented = Object.entries<object>(paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const described = new Set(documented.map((route) => route.replace(/\{resource\}\/.+/, '{resource}')));
    expect([...described].sort()).toEqual(routesOf(createApp(harness.home).router as unknown as Routes).sort());
  });

  it('describes every error with its status', async () => {
    const { responses } = (await read()).components;
    const documented = Object.values<Problems>(responses).flatMap(({ content }) =>
      Object.values(content['application/problem+json'].examples).map(({ value }) => [value.code, value.status]),
    );
    const statuses = Object.entries(ERRORS).map(([code, { status }]) => [code, status]);
    expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(statuses));
  });

  it.each([
    ['https://api.octup.com/api/v1/oauth/quickbooks/callback', 'https://api.octup.com'],
    ['https://octup.com/accounting/v2/api/v1/oauth/quickbooks/callback', 'https://octup.com/accounting/v2'],
  ])('has the public address that the redirect URI %s shows', async (QBO_REDIRECT_URI, url) => {
    const { config, strategies } = await harness.replica({ env: { QBO_REDIRECT_URI } });
    expect(openApiDocument(config, strategies.all()).servers).toEqual([{ url }]);
  });

  it('contains the version of the package and the public address of the service', async () => {
    const { info, servers } = await read();
    expect([info.version, servers]).toEqual([
      expect.stringMatching(/^\d+\.\d+\.\d+$/),
      [{ url: 'http://localhost:8080' }],
    ]);
  });
});

/** Since OpenAPI 3.1, a requirement of any security scheme can name roles; Spectral still allows it only for OAuth. */
const ROLES_OF_3_1 = /^"[a-z]+:[a-z]+" must be listed among scopes\.$/;

interface Problems {
  content: Record<
    'application/problem+json',
    { examples: Record<string, { value: { code: string; status: number } }> }
  >;
}

interface Routes {
  listRoutes(): { path: string; methods?: string[]; router?: Routes }[];
}

/** Returns every GET and POST that a router has, as the document writes it. */
function routesOf(router: Routes, mount = ''): string[] {
  return router.listRoutes().flatMap(({ path, methods = [], router: inner }) => {
    if (inner) return routesOf(inner, path === '/' ? mount : mount + path);
    const address = `${mount}${path}`.replace(/[:*](\w+)/g, '{$1}');
    return methods.filter((method) => method === 'GET' || method === 'POST').map((method) => `${method} ${address}`);
  });
}
