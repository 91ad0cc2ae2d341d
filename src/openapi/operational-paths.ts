import type { OpenAPIRegistry } from '@asteasolutions/zod-to-openapi';
import { livenessSchema, readinessSchema } from '../schemas/health.ts';
import { NOT_READY, READY } from './examples.ts';
import { COMMON_HEADERS } from './headers.ts';
import { problems } from './problems.ts';
import { jsonResponse, textResponse } from './responses.ts';

/** Registers health and metrics: public, and not rate-limited. */
export function registerOperationalPaths(registry: OpenAPIRegistry): void {
  registry.registerPath({
    method: 'get',
    path: '/healthz',
    operationId: 'getLiveness',
    tags: ['Operations'],
    summary: 'Reports that the process is running.',
    description: 'Checks nothing else. For an orchestrator that restarts processes.',
    security: [],
    responses: {
      200: jsonResponse('The process is running.', livenessSchema, { ok: { status: 'ok' } }, COMMON_HEADERS),
      ...problems(registry, []),
    },
  });

  registry.registerPath({
    method: 'get',
    path: '/readyz',
    operationId: 'getReadiness',
    tags: ['Operations'],
    summary: 'Reports whether the process can serve requests.',
    description: 'For a load balancer. The checks take no longer than 2 seconds.',
    security: [],
    responses: {
      200: jsonResponse('The process can serve requests.', readinessSchema, { ready: READY }, COMMON_HEADERS),
      503: jsonResponse(
        'The process cannot serve requests, or it is stopping.',
        readinessSchema,
        NOT_READY,
        COMMON_HEADERS,
      ),
      ...problems(registry, []),
    },
  });

  registry.registerPath({
    method: 'get',
    path: '/metrics',
    operationId: 'getMetrics',
    tags: ['Operations'],
    summary: "Returns metrics in Prometheus' text format.",
    description: 'No label names an organization or a company.',
    security: [],
    responses: { 200: textResponse('All metrics.', ['text/plain'], COMMON_HEADERS), ...problems(registry, []) },
  });
}
