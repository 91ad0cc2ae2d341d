import { describe, expect, it } from '@jest/globals';
import { type RulesetDefinition, Spectral } from '@stoplight/spectral-core';
import { oas } from '@stoplight/spectral-rulesets';
import { createApp } from '../../src/app.ts';
import { STATUS } from '../../src/middleware/error-handler.ts';
import { createSqlite } from '../support/databases.ts';
import { useStage } from '../support/stage.ts';

describe('the document', () => {
  const stage = useStage(createSqlite);
  const read = async () => (await stage.service.http.get('/openapi.json').expect(200)).body;

  it('breaks none of the rules that Spectral has for OpenAPI', async () => {
    const spectral = new Spectral();
    spectral.setRuleset({ extends: [[oas as RulesetDefinition, 'recommended']] });
    const complaints = await spectral.run(await read());
    expect(complaints.map(({ code, path, message }) => `${code} at ${path.join('.')}: ${message}`)).toEqual([]);
  });

  it('has every route of the service, and no other', async () => {
    const { paths } = await read();
    const documented = Object.entries<object>(paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(documented.sort()).toEqual(routesOf(createApp(stage.service.context).router as unknown as Routes).sort());
  });

  it('has every error, each with its status', async () => {
    const { responses } = (await read()).components;
    const told = Object.values<Problems>(responses).flatMap(({ content }) =>
      Object.values(content['application/problem+json'].examples).map(({ value }) => [value.code, value.status]),
    );
    expect(Object.fromEntries(told)).toEqual(STATUS);
  });

  it('names this version, and the service by its public address', async () => {
    const { info, servers } = await read();
    expect([info.version, servers]).toEqual([
      expect.stringMatching(/^\d+\.\d+\.\d+$/),
      [{ url: 'http://localhost:8080' }],
    ]);
  });
});

interface Problems {
  content: Record<
    'application/problem+json',
    { examples: Record<string, { value: { code: string; status: number } }> }
  >;
}

interface Routes {
  listRoutes(): { path: string; methods?: string[]; router?: Routes }[];
}

/** Every method that is not refused. */
function routesOf(router: Routes, mount = ''): string[] {
  return router.listRoutes().flatMap(({ path, methods = [], router: inner }) => {
    if (inner) return routesOf(inner, path === '/' ? mount : mount + path);
    const address = `${mount}${path}`.replace(/[:*](\w+)/g, '{$1}');
    return methods.filter((method) => method === 'GET' || method === 'POST').map((method) => `${method} ${address}`);
  });
}
