import { pipeline } from 'node:stream/promises';
import { type Request, type RequestHandler, Router } from 'express';
import getRawBody from 'raw-body';
import type { Context } from '../context.ts';
import { AppError } from '../errors.ts';
import { MAX_BODY_BYTES } from '../middleware/limit-body.ts';
import { methodNotAllowed } from '../middleware/method-not-allowed.ts';
import { requireScope } from '../middleware/require-scope.ts';
import type { AccountingSystem } from '../models/connection.ts';
import type { Gateway } from '../services/gateway.ts';
import type { AccountingStrategy } from '../strategies/accounting-strategy.ts';
import { connectionKey } from './connection-key.ts';
import { resourcePath } from './resource-path.ts';

const REQUEST_HEADERS = ['accept', 'accept-encoding', 'accept-language', 'content-type', 'content-encoding'];
const RESPONSE_HEADERS = [
  'content-type',
  'content-length',
  'content-encoding',
  'content-language',
  'content-disposition',
  'etag',
  'last-modified',
  'retry-after',
  'intuit_tid',
];

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

function forward(gateway: Gateway, system: AccountingSystem): RequestHandler {
  return async (request, response) => {
    const key = connectionKey(request, response, system);
    const abort = new AbortController();
    const onClose = () => abort.abort();
    response.once('close', onClose);
    const forwarded = await gateway.forward({
      ...key,
      method: request.method === 'POST' ? 'POST' : 'GET',
      resource: resourcePath(request),
      headers: { ...pick(request.headers, REQUEST_HEADERS), 'x-request-id': request.id },
      body: request.method === 'POST' ? await readBody(request) : undefined,
      abort,
    });
    response.writeHead(forwarded.statusCode, pick(forwarded.headers, RESPONSE_HEADERS));
    response.off('close', onClose); // from here on the pipeline aborts
    await pipeline(forwarded.body, response);
  };
}

/** Reads the body byte for byte: it may have to be sent twice. */
async function readBody(request: Request): Promise<Buffer> {
  try {
    return await getRawBody(request, { limit: MAX_BODY_BYTES });
  } catch (error) {
    if ((error as { type?: string }).type !== 'entity.too.large') throw error;
    throw new AppError('payload_too_large');
  }
}

function pick(headers: Record<string, string | string[] | undefined>, names: string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => (headers[name] === undefined ? [] : [[name, String(headers[name])]])),
  );
}
