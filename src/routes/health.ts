import { Router } from 'express';
import type { Context } from '../context.ts';
import { methodNotAllowed } from '../middleware/method-not-allowed.ts';
import type { Liveness } from '../schemas/health.ts';

/** `/healthz`: the process is running. `/readyz`: it can do its work. */
export function createHealthRouter({ health }: Context): Router {
  const router = Router();

  router
    .route('/healthz')
    .get((_request, response) => {
      response.json({ status: 'ok' } satisfies Liveness);
    })
    .all(methodNotAllowed('GET, HEAD'));

  router
    .route('/readyz')
    .get(async (_request, response) => {
      const readiness = await health.readiness();
      response.status(readiness.status === 'ready' ? 200 : 503).json(readiness);
    })
    .all(methodNotAllowed('GET, HEAD'));

  return router;
}
