import express, { type RequestHandler } from 'express';
import { AppError } from '../errors.ts';
import type { MemoryBudget } from '../utils/memory-budget.ts';

const MAX_BYTES = 16 * 1024;

const parseJson = express.json({ limit: MAX_BYTES, inflate: false, type: () => true });

/**
 * Reads a JSON body, whatever its content type says.
 * @throws AppError `invalid_request`, `payload_too_large`, `service_unavailable` if too many bodies are being read
 */
export function jsonBody(bodyMemory: MemoryBudget): RequestHandler {
  return (request, response, next) => {
    bodyMemory.reserve(MAX_BYTES);
    response.once('close', () => bodyMemory.release(MAX_BYTES));
    parseJson(request, response, (error?: unknown) => next(error && toAppError(error)));
  };
}

function toAppError(error: unknown): unknown {
  const { type } = error as { type?: string };
  if (type === 'entity.too.large') {
    return new AppError('payload_too_large', { detail: 'The body is larger than 16 KiB.' });
  }
  if (type === 'request.aborted') return error;
  return new AppError('invalid_request', { detail: 'body must be a JSON object, in UTF-8 and uncompressed' });
}
