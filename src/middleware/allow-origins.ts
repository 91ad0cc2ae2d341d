import cors from 'cors';
import type { RequestHandler } from 'express';
import { AppError } from '../errors.ts';

/**
 * Lets pages of the frontends' origins call, and rejects a POST from a page of any other origin.
 * @param publicUrls the service's own addresses
 */
export function allowOrigins(frontendUrls: readonly string[], publicUrls: readonly string[]): RequestHandler[] {
  const frontends = frontendUrls.map(toOrigin);
  const allowed = [...frontends, ...publicUrls.map(toOrigin)];
  const handleCors = cors({
    origin: frontends,
    methods: ['GET', 'HEAD', 'POST'],
    allowedHeaders: ['Authorization', 'Content-Type', 'X-Request-Id'],
    exposedHeaders: ['X-Request-Id', 'Retry-After', 'RateLimit', 'RateLimit-Policy', 'WWW-Authenticate', 'intuit_tid'],
    maxAge: 600,
  });
  return [
    (request, response, next) => {
      const { origin, 'access-control-request-method': requestedMethod } = request.headers;
      const isCors = origin !== undefined && (request.method !== 'OPTIONS' || requestedMethod !== undefined);
      return isCors ? handleCors(request, response, next) : next();
    },
    (request, _response, next) => {
      const { origin } = request.headers;
      if (request.method === 'POST' && origin !== undefined && !allowed.includes(origin)) {
        throw new AppError('forbidden', { detail: 'Pages of this origin may not call this service.' });
      }
      next();
    },
  ];
}

function toOrigin(url: string): string {
  return new URL(url).origin;
}
