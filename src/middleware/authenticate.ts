import type { Request, RequestHandler, Response } from 'express';
import { ANYBODY, type Caller, type Callers } from '../auth/caller-authenticator.ts';
import type { ConnectLink, ConnectLinks } from '../auth/connect-links.ts';
import { AppError } from '../errors.ts';

const CALLBACK = '/api/v1/oauth/quickbooks/callback';
const CONNECT = /^\/api\/v1\/oauth\/quickbooks\/connect\/[^/]+$/;

/**
 * Closes everything that comes after it, routes added later included. Excepted is the callback, which its state and
 * cookie protect; and a link opens connect.
 * @param refused counts and limits those who are turned away
 */
export function authenticate(callers: Callers, links: ConnectLinks, refused: RequestHandler): RequestHandler {
  return async (request, response, next) => {
    try {
      Object.assign(response.locals, await identify(request, callers, links));
      next();
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'unauthorized') throw error;
      await refused(request, response, (limited?: unknown) => next(limited ?? error));
    }
  };
}

async function identify(
  request: Request,
  callers: Callers,
  links: ConnectLinks,
): Promise<{ caller: Caller; link?: ConnectLink }> {
  const path = `${request.baseUrl}${request.path}`;
  const { authorization } = request.headers;
  if (path === CALLBACK) return { caller: ANYBODY };
  if (authorization === undefined && request.method === 'GET' && CONNECT.test(path) && 'link' in request.query) {
    const link = links.verify(String(request.query['link']));
    return { link, caller: { actor: link.actor, account: undefined, organizationId: link.organizationId } };
  }
  return { caller: callers.isOpen ? ANYBODY : await callers.identify(authorization) };
}

/** Who calls, as `authenticate` found out. */
export function callerOf(response: Response): Caller {
  return response.locals['caller'];
}

/** The link that let the caller in, which is still to be spent. */
export function linkOf(response: Response): ConnectLink | undefined {
  return response.locals['link'];
}
