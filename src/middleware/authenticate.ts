import type { Request, RequestHandler } from 'express';
import { ANONYMOUS, type Caller, type CallerAuthenticator } from '../auth/caller-authenticator.ts';
import type { ConnectLink, ConnectLinks } from '../auth/connect-links.ts';
import { createHostCheck } from '../auth/own-host.ts';
import { hasCode } from '../errors.ts';
import type { AccountingSystem } from '../models/connection.ts';

const PUBLIC = /^\/api\/v1\/oauth\/[^/]+\/(callback|disconnected)$/;
const CONNECT = /^\/api\/v1\/oauth\/([^/]+)\/connect\/[^/]+$/;

interface Dependencies {
  authenticator: CallerAuthenticator;
  links: ConnectLinks;
  /** The service's own addresses. */
  publicUrls: readonly string[];
  /** Counts and limits rejected credentials. */
  limitRejected: RequestHandler;
}

/**
 * Requires credentials for everything that comes after it, including routes that are added later. Exceptions: the
 * callback, which its state and cookie protect, the page for users who disconnected at the provider, and connect with a link.
 */
export function authenticate({ authenticator, links, publicUrls, limitRejected }: Dependencies): RequestHandler {
  const checkHost = createHostCheck(publicUrls);
  const identify = createIdentify({ authenticator, links, checkHost });
  return async (request, response, next) => {
    try {
      Object.assign(response.locals, await identify(request));
      next();
    } catch (error) {
      if (!hasCode(error, 'unauthorized')) throw error;
      await limitRejected(request, response, (limited?: unknown) => next(limited ?? error));
    }
  };
}

interface Identification {
  authenticator: CallerAuthenticator;
  links: ConnectLinks;
  checkHost: (host: string | undefined) => void;
}

function createIdentify({ authenticator, links, checkHost }: Identification) {
  return async (request: Request): Promise<{ caller: Caller; link?: ConnectLink }> => {
    const path = `${request.baseUrl}${request.path}`;
    const { authorization, host } = request.headers;
    if (PUBLIC.test(path)) return { caller: ANONYMOUS };
    const [, system] = CONNECT.exec(path) ?? [];
    if (system && authorization === undefined && request.method === 'GET' && 'link' in request.query) {
      return identifyByLink(links, String(request.query['link']), system);
    }
    if (!authenticator.isOpen) return { caller: await authenticator.authenticate(authorization) };
    checkHost(host);
    return { caller: ANONYMOUS };
  };
}

function identifyByLink(links: ConnectLinks, text: string, system: AccountingSystem) {
  const link = links.verify(text, system);
  return {
    link,
    caller: {
      actor: link.actor,
      account: undefined,
      organizations: { kind: 'only', ids: [link.organizationId] },
      scopes: new Set(['connections:write']),
    } as const,
  };
}
