import type { Request, RequestHandler } from 'express';
import getRawBody from 'raw-body';
import { AppError } from '../errors.ts';
import { MAX_BODY_BYTES } from '../models/body-limits.ts';
import type { MemoryBudget } from '../utils/memory-budget.ts';

/**
 * Reads a JSON object, whatever the content type says. Without a body, there is none.
 * @throws AppError `invalid_request`, `payload_too_large`, `service_unavailable` if too many bodies are being read
 */
export function jsonBody(bodyMemory: MemoryBudget): RequestHandler {
  return async (request, _response, next) => {
    bodyMemory.reserve(MAX_BODY_BYTES);
    try {
      request.body = parseObject(await readBody(request));
    } finally {
      bodyMemory.release(MAX_BODY_BYTES);
    }
    next();
  };
}

async function readBody(request: Request): Promise<Buffer> {
  const { 'content-encoding': encoding = 'identity', 'content-length': length } = request.headers;
  if (encoding.toLowerCase() !== 'identity') throw invalidBody();
  if (Number(length ?? 0) > MAX_BODY_BYTES) throw tooLarge();
  try {
    return await getRawBody(request, { limit: MAX_BODY_BYTES });
  } catch (error) {
    throw (error as { type?: string }).type === 'entity.too.large' ? tooLarge() : error;
  }
}

function parseObject(body: Buffer): object | undefined {
  if (body.length === 0) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw invalidBody();
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalidBody();
  return value;
}

function invalidBody(): AppError {
  return new AppError('invalid_request', { detail: 'body must be a JSON object, in UTF-8 and uncompressed' });
}

function tooLarge(): AppError {
  return new AppError('payload_too_large', { detail: 'The body is larger than 16 KiB.' });
}
