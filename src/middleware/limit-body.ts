import type { RequestHandler } from 'express';
import { AppError } from '../errors.ts';
import { MAX_BODY_BYTES, MAX_GATEWAY_BODY_BYTES } from '../models/body-limits.ts';

/** Rejects a body by its `Content-Length`, before any of it is read. @param gatewayPaths where the gateway is mounted */
export function limitBody(gatewayPaths: readonly string[]): RequestHandler {
  return (request, _response, next) => {
    const length = Number(request.headers['content-length'] ?? 0);
    if (length > MAX_BODY_BYTES) {
      const path = request.path.toLowerCase(); // as the routes match it
      const isGateway = gatewayPaths.some((gatewayPath) => path.startsWith(`${gatewayPath}/`));
      if (!isGateway) throw new AppError('payload_too_large', { detail: 'The body is larger than 16 KiB.' });
      if (length > MAX_GATEWAY_BODY_BYTES) throw new AppError('payload_too_large');
    }
    next();
  };
}
