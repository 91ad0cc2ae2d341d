import type { OpenAPIRegistry } from '@asteasolutions/zod-to-openapi';
import { z } from 'zod';
import { docsFile } from '../schemas/requests.ts';
import { COMMON_HEADERS, headers } from './headers.ts';
import { problems } from './problems.ts';
import { textResponse } from './responses.ts';

/** Registers this document, and the page that shows it: public, and not rate-limited. */
export function registerDocsPaths(registry: OpenAPIRegistry): void {
  registry.registerPath({
    method: 'get',
    path: '/openapi.json',
    operationId: 'getOpenApi',
    tags: ['Reference'],
    summary: 'Returns this document.',
    description: 'OpenAPI 3.1, generated from the schemas that validate requests and type responses.',
    security: [],
    responses: {
      200: {
        description: 'This document.',
        headers: headers(...COMMON_HEADERS),
        content: { 'application/json': { schema: { type: 'object', required: ['openapi', 'info', 'paths'] } } },
      },
      ...problems(registry, []),
    },
  });

  registry.registerPath({
    method: 'get',
    path: '/docs',
    operationId: 'getDocs',
    tags: ['Reference'],
    summary: 'Shows this document in a browser.',
    description: 'The page loads nothing from other hosts.',
    security: [],
    responses: { 200: textResponse('The page.', ['text/html'], COMMON_HEADERS), ...problems(registry, []) },
  });

  registry.registerPath({
    method: 'get',
    path: '/docs/{file}',
    operationId: 'getDocsFile',
    tags: ['Reference'],
    summary: 'Returns a file that the page loads.',
    description: 'A style sheet, a script, or the icon.',
    security: [],
    request: { params: z.object({ file: docsFile }) },
    responses: {
      200: {
        description: 'The file.',
        headers: { ...headers(...COMMON_HEADERS), 'Cache-Control': CACHE_CONTROL },
        content: {
          'text/css': { schema: { type: 'string' } },
          'text/javascript': { schema: { type: 'string' } },
          'image/png': { schema: {} },
        },
      },
      ...problems(registry, ['invalid_request', 'not_found']),
    },
  });
}

const CACHE_CONTROL = {
  description: 'No other response of this service can be cached.',
  required: true,
  schema: { type: 'string', const: 'public, max-age=3600' },
} as const;
