import { Router } from 'express';
import type { Context } from '../context.ts';
import { callerOf } from '../middleware/locals.ts';
import { methodNotAllowed } from '../middleware/method-not-allowed.ts';
import { requireScope } from '../middleware/require-scope.ts';
import { type Disconnected, toStatus } from '../schemas/connection.ts';
import { type EventPage, toEventFields } from '../schemas/events.ts';
import { parse } from '../schemas/parse.ts';
import { eventsQuery } from '../schemas/requests.ts';
import type { AccountingStrategy } from '../strategies/accounting-strategy.ts';
import { connectionKey } from './connection-key.ts';
import { sendJson } from './send-json.ts';

/** Status, disconnect and events of one provider, below `/api/v1/oauth/{provider}`. */
export function createOAuthRouter(context: Context, strategy: AccountingStrategy): Router {
  const { oauthService, rateLimits, clock } = context;
  const { system } = strategy;
  const router = Router();

  router
    .route('/status/:organization_id')
    .get(rateLimits.read, requireScope('connections:read'), async (request, response) => {
      const connection = await oauthService.status(connectionKey(request, response, system));
      sendJson(response, toStatus(connection, clock.now()));
    })
    .all(methodNotAllowed('GET, HEAD'));

  router
    .route('/disconnect/:organization_id')
    .post(rateLimits.change, requireScope('connections:write'), async (request, response) => {
      await oauthService.disconnect(connectionKey(request, response, system), callerOf(response).actor);
      response.json({ success: true, message: 'Disconnected successfully' } satisfies Disconnected);
    })
    .all(methodNotAllowed('POST'));

  router
    .route('/events/:organization_id')
    .get(rateLimits.read, requireScope('connections:read'), async (request, response) => {
      const key = connectionKey(request, response, system);
      const { limit, before } = parse(eventsQuery, request.query);
      const events = await oauthService.listEvents(key, limit + 1, before);
      const page = events.slice(0, limit);
      const next = events.length > limit ? String(page.at(-1)?.position) : null;
      response.json({ events: page.map(toEventFields), next } satisfies EventPage);
    })
    .all(methodNotAllowed('GET, HEAD'));

  return router;
}
