import { Router } from 'express';
import type { Context } from '../context.ts';
import { methodNotAllowed } from '../middleware/method-not-allowed.ts';
import { requireScope } from '../middleware/require-scope.ts';
import { type ConnectionPage, toListedConnection } from '../schemas/connection-list.ts';
import { parse } from '../schemas/parse.ts';
import { connectionsQuery } from '../schemas/requests.ts';
import type { AccountingStrategy } from '../strategies/accounting-strategy.ts';

/** All organizations' connections to one provider, for operators, below `/api/v1/oauth/{provider}`. */
export function createConnectionsRouter(context: Context, { system }: AccountingStrategy): Router {
  const { connectionList, rateLimits, clock } = context;
  const router = Router();

  router
    .route('/connections')
    .get(rateLimits.list, requireScope('connections:list'), async (request, response) => {
      const { state, realm_id: realmId, limit, after } = parse(connectionsQuery, request.query);
      const found = await connectionList.listPage({ system, state, realmId, after, limit: limit + 1 });
      const page = found.slice(0, limit);
      const next = found.length > limit ? (page.at(-1)?.organizationId ?? null) : null;
      const connections = page.map((connection) => toListedConnection(connection, clock.now()));
      response.json({ connections, next } satisfies ConnectionPage);
    })
    .all(methodNotAllowed('GET, HEAD'));

  return router;
}
