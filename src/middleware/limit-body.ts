import type { RequestHandler } from 'express';
import { AppError } from '../errors.ts';

/** The largest body that any route accepts. */
export const MAX_BODY_BYTES = 1024 * 1024;

/** Rejects a body by its `Content-Length`, before any of it is read. */
export const limitBody: RequestHandler = (request, _response, next) => {
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw new AppError('payload_too_large');
  next();
};
