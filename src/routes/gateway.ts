import { type Request, type RequestHandler, Router } from 'express';
import type { Context } from '../context.ts';
import { AppError } from '../errors.ts';
import { methodNotAllowed } from '../middleware/method-not-allowed.ts';
import { requireScope } from '../middleware/require-scope.ts';
import type { AccountingSystem } from '../models/connection.ts';
import type { Gateway } from '../services/gateway/gateway.ts';
import { requestHeaders } from '../services/gateway/passed-headers.ts';
import type { AccountingStrategy } from '../strategies/accounting-strategy.ts';
import { connectionKey } from './connection-key.ts';
import { resourcePath } from './resource-path.ts';

/** QuickBooks' own limit for a `requestid`. */
const IDEMPOTENCY_KEY = /^[\x20-\x7e]{1,50}$/;

/** `GET, POST /{organization_id}/{resource}` of one provider, wherever it is mounted. */
export function createGatewayRouter({ gateway, rateLimits }: Context, { system, profile }: AccountingStrategy): Router {
  const router = Router();
  const canRead = requireScope(`${system}:read`);
  const canPost = requireScope(({ params }) =>
    profile.api.readsByPost?.includes([params['resource']].flat().join('/')) ? `${system}:read` : `${system}:write`,
  );

  router
    .route('/:organization_id/*resource') // the metrics recognise the gateway by this ending
    .head(methodNotAllowed('GET, POST'))
    .get(rateLimits.read, canRead, forward(gateway, system))
    .post(rateLimits.read, canPost, forward(gateway, system))
    .all(methodNotAllowed('GET, POST'));

  return router;
}

/** Where the gateway to a provider is mounted. */
export function gatewayPaths({ system, profile }: AccountingStrategy): string[] {
  const { nativePath } = profile.api;
  return [`/api/v1/${system}`, ...(nativePath ? [nativePath] : [])];
}

function forward(gateway: Gateway, system: AccountingSystem): RequestHandler {
  return async (request, response) => {
    const isPost = request.method === 'POST';
    await gateway.forward({
      ...connectionKey(request, response, system),
      method: isPost ? 'POST' : 'GET',
      resource: resourcePath(request),
      headers: { ...requestHeaders(request.headers), 'x-request-id': request.id },
      response,
      ...(isPost ? { source: request, idempotencyKey: idempotencyKey(request) } : {}),
    });
  };
}

/** @throws AppError `invalid_request` */
function idempotencyKey({ headersDistinct }: Request): string | undefined {
  const keys = headersDistinct['idempotency-key'];
  if (keys === undefined) return undefined;
  if (keys.length === 1 && IDEMPOTENCY_KEY.test(keys[0] ?? '')) return keys[0];
  throw new AppError('invalid_request', { detail: 'Idempotency-Key must be 1 to 50 printable characters, once' });
}
