import { createRequire } from 'node:module';
import { OpenAPIRegistry, OpenApiGeneratorV31 } from '@asteasolutions/zod-to-openapi';
import type { Config } from '../config/config.ts';
import { problemSchema } from '../schemas/problem.ts';
import { registerConnectPaths } from './connect-paths.ts';
import { registerConnectionPaths } from './connection-paths.ts';
import { registerDocsPaths } from './docs-paths.ts';
import { registerGatewayPaths } from './gateway-paths.ts';
import { HEADERS } from './headers.ts';
import { introduction, TAGS } from './introduction.ts';
import { registerOperationalPaths } from './operational-paths.ts';
import type { Provider } from './provider.ts';
import { SECURITY_SCHEMES } from './security.ts';
import { registerWebhooks } from './webhooks.ts';

const { version } = createRequire(import.meta.url)('#package.json') as { version: string };

/** Builds the OpenAPI 3.1 document from the schemas that validate requests and type responses, with every provider's routes. */
export function openApiDocument({ quickbooks }: Pick<Config, 'quickbooks'>, providers: readonly Provider[]) {
  const registry = new OpenAPIRegistry();
  registerComponents(registry);
  for (const provider of providers) {
    registerConnectPaths(registry, provider);
    registerConnectionPaths(registry, provider);
    registerGatewayPaths(registry, provider);
  }
  registerOperationalPaths(registry);
  registerDocsPaths(registry);
  registerWebhooks(registry);
  const problem = { type: 'schema', schema: problemSchema } as const; // only raw schemas refer to it, which the generator ignores
  return new OpenApiGeneratorV31([problem, ...registry.definitions]).generateDocument({
    openapi: '3.1.0',
    info: {
      title: 'Accounting Integration Service',
      version,
      description: introduction(providers),
      contact: { name: 'Octup' },
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: publicAddress(quickbooks.redirectUri) }],
    tags: TAGS,
  });
}

/** The address below which a proxy serves this service: the redirect URI's, without the path of the callback. */
function publicAddress(redirectUri: string): string {
  return new URL('../../../..', redirectUri).href.replace(/\/$/, '');
}

function registerComponents(registry: OpenAPIRegistry): void {
  for (const [name, header] of Object.entries(HEADERS)) registry.registerComponent('headers', name, header);
  for (const [name, scheme] of Object.entries(SECURITY_SCHEMES))
    registry.registerComponent('securitySchemes', name, scheme);
}
