import type { OpenAPIRegistry } from '@asteasolutions/zod-to-openapi';
import { z } from 'zod';
import { docsFile } from '../schemas/requests.ts';
import { ALWAYS, headers } from './headers.ts';
import { problems } from './problems.ts';
import { text } from './responses.ts';

/** This document, and the page that shows it. Open, and not limited. */
export function registerDocsPaths(registry: OpenAPIRegistry): void {
  registry.registerPath({
    method: 'get',
    path: '/openapi.json',
    operationId: 'getOpenApi',
    tags: ['Reference'],
    summary: 'Give this document',
    description: 'OpenAPI 3.1, made from the schemas that check requests and answers.',
    security: [],
    responses: {
      200: {
        description: 'This document.',
        headers: headers(...ALWAYS),
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
    summary: 'Show this document',
    description: 'The page for a browser. It loads nothing from other hosts.',
    security: [],
    responses: { 200: text('The page.', ['text/html'], ALWAYS), ...problems(registry, []) },
  });

  registry.registerPath({
    method: 'get',
    path: '/docs/{file}',
    operationId: 'getDocsFile',
    tags: ['Reference'],
    summary: "Give the page's parts",
    description: 'Style, scripts and icon of the page.',
    security: [],
    request: { params: z.object({ file: docsFile }) },
    responses: {
      200: {
        description: 'The file.',
        headers: { ...headers(...ALWAYS), 'Cache-Control': CACHE_CONTROL },
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
  description: 'These files alone may be stored.',
  required: true,
  schema: { type: 'string', const: 'public, max-age=3600' },
} as const;
