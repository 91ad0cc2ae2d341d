import type { OpenAPIRegistry } from '@asteasolutions/zod-to-openapi';
import { livenessSchema, readinessSchema } from '../schemas/health.ts';
import { NOT_READY, READY } from './examples.ts';
import { ALWAYS } from './headers.ts';
import { problems } from './problems.ts';
import { json, text } from './responses.ts';

/** Health and metrics. Open, and not limited. */
export function registerOperationalPaths(registry: OpenAPIRegistry): void {
  registry.registerPath({
    method: 'get',
    path: '/healthz',
    operationId: 'getLiveness',
    tags: ['Operation'],
    summary: 'Tell that the process runs',
    description: 'Looks at nothing else: for the orchestrator that restarts a process.',
    security: [],
    responses: { 200: json('It runs.', livenessSchema, { ok: { status: 'ok' } }, ALWAYS), ...problems(registry, []) },
  });

  registry.registerPath({
    method: 'get',
    path: '/readyz',
    operationId: 'getReadiness',
    tags: ['Operation'],
    summary: 'Tell whether the process can do its work',
    description: 'For the load balancer that sends it requests. Each check takes 2 seconds at most.',
    security: [],
    responses: {
      200: json('It can.', readinessSchema, { ready: READY }, ALWAYS),
      503: json('It cannot, or is asked to end.', readinessSchema, NOT_READY, ALWAYS),
      ...problems(registry, []),
    },
  });

  registry.registerPath({
    method: 'get',
    path: '/metrics',
    operationId: 'getMetrics',
    tags: ['Operation'],
    summary: 'Tell how it goes, for Prometheus',
    description: "Prometheus' text format. No organization and no company is named.",
    security: [],
    responses: { 200: text('All metrics.', ['text/plain'], ALWAYS), ...problems(registry, []) },
  });
}
