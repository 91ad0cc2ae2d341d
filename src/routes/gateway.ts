import { pipeline } from 'node:stream/promises';
import { type Request, type RequestHandler, Router } from 'express';
import getRawBody from 'raw-body';
import type { Context } from '../context.ts';
import { MAX_BODY_BYTES, payloadTooLarge } from '../middleware/limit-body.ts';
import { methodNotAllowed } from '../middleware/method-not-allowed.ts';
import type { Gateway } from '../services/gateway.ts';
import { organizationOf } from './parse.ts';
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

/** `GET, POST /{organization_id}/{resource}`: to be mounted where sibling services and QuickBooks' own libraries look. */
export function createGatewayRouter({ gateway, rateLimits }: Context): Router {
  const router = Router();

  router
    .route('/:organization_id/*resource') // by this ending it is measured
    .head(methodNotAllowed('GET, POST'))
    .get(rateLimits.read, forward(gateway))
    .post(rateLimits.read, forward(gateway))
    .all(methodNotAllowed('GET, POST'));

  return router;
}

function forward(gateway: Gateway): RequestHandler {
  return async (request, response) => {
    const organizationId = organizationOf(request, response);
    const giveUp = new AbortController();
    const leave = () => giveUp.abort();
    response.once('close', leave);
    const answer = await gateway.forward({
      organizationId,
      method: request.method === 'POST' ? 'POST' : 'GET',
      resource: resourcePath(request),
      headers: { ...pick(request.headers, REQUEST_HEADERS), 'x-request-id': request.id },
      body: request.method === 'POST' ? await readBody(request) : undefined,
      giveUp,
    });
    response.writeHead(answer.statusCode, pick(answer.headers, RESPONSE_HEADERS));
    response.off('close', leave); // from here on the pipeline sees to it
    await pipeline(answer.body, response);
  };
}

/** The body byte for byte: it may have to be sent twice. */
async function readBody(request: Request): Promise<Buffer> {
  try {
    return await getRawBody(request, { limit: MAX_BODY_BYTES });
  } catch (error) {
    if ((error as { type?: string }).type !== 'entity.too.large') throw error;
    throw payloadTooLarge();
  }
}

function pick(headers: Record<string, string | string[] | undefined>, names: string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => (headers[name] === undefined ? [] : [[name, String(headers[name])]])),
  );
}
