import { Router } from 'express';
import type { Context } from '../context.ts';
import { methodNotAllowed } from '../middleware/method-not-allowed.ts';

/** `/metrics`: Prometheus text. */
export function createMetricsRouter({ metricsPage }: Context): Router {
  const router = Router();

  router
    .route('/metrics')
    .get(async (_request, response) => {
      response.type(metricsPage.contentType).send(await metricsPage.content());
    })
    .all(methodNotAllowed('GET, HEAD'));

  return router;
}
