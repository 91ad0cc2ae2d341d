import { createHash } from 'node:crypto';
import { parseCookie } from 'cookie';
import { type CookieOptions, type Response, Router } from 'express';
import { STATE_LIFETIME_MS } from '../auth/oauth-states.ts';
import type { ReturnOutcome } from '../auth/return-pages.ts';
import type { Context } from '../context.ts';
import { AppError } from '../errors.ts';
import { redirect } from '../middleware/browser-route.ts';
import { jsonBody } from '../middleware/json-body.ts';
import { callerOf } from '../middleware/locals.ts';
import { methodNotAllowed } from '../middleware/method-not-allowed.ts';
import { countOutcome } from '../middleware/request-metrics.ts';
import { requireScope } from '../middleware/require-scope.ts';
import { type ConnectLinkResponse, toStatus } from '../schemas/connection.ts';
import { parse } from '../schemas/parse.ts';
import { confirmBody, connectBody, connectQuery } from '../schemas/requests.ts';
import type { CallbackResult } from '../services/callback-flow.ts';
import type { AccountingStrategy } from '../strategies/accounting-strategy.ts';
import { currentTrace, TRACE_COOKIE } from '../tracing/tracing.ts';
import { connectionKey } from './connection-key.ts';

/** How a user connects one provider: connect, callback, confirm and disconnected, below `/api/v1/oauth/{provider}`. */
export function createConnectRouter(context: Context, strategy: AccountingStrategy): Router {
  const { oauthService, links, returnPages, rateLimits, bodyMemory, metrics, clock } = context;
  const { system, profile } = strategy;
  const router = Router();
  const cookie = flowCookie(profile.redirectUri);

  router
    .route('/connect/:organization_id')
    .head(methodNotAllowed('GET, POST'))
    .get(
      rateLimits.browser,
      requireScope('connections:write'),
      countOutcome(metrics.connects, async (request, response) => {
        const key = connectionKey(request, response, system);
        const { return_url } = parse(connectQuery, request.query);
        const returnUrl = return_url === undefined ? undefined : returnPages.parse(return_url);
        const { link } = response.locals;
        const flow = link
          ? await oauthService.connectByLink(link, returnUrl)
          : oauthService.connect(key, callerOf(response).actor, { returnUrl });
        response.cookie(cookie.name(flow.state), flow.browserSecret, { ...cookie.options, maxAge: STATE_LIFETIME_MS });
        continueTrace(response, profile.redirectUri);
        redirect(response, flow.authorizationUrl);
        return 'redirected';
      }),
    )
    .post(
      rateLimits.change,
      requireScope('connections:write'),
      jsonBody(bodyMemory),
      countOutcome(metrics.connects, (request, response) => {
        const key = connectionKey(request, response, system);
        const { return_url, expires_in, realm_id } = parse(connectBody, request.body ?? {});
        if (realm_id !== undefined && profile.companyId && !profile.companyId.pattern.test(realm_id)) {
          throw new AppError('invalid_request', { detail: `realm_id ${profile.companyId.message}` });
        }
        const { link, expiresAt } = links.issue(key, callerOf(response).actor, {
          lifetimeMs: expires_in * 1000,
          returnUrl: return_url === undefined ? undefined : returnPages.parse(return_url),
          pinnedRealmId: realm_id,
        });
        const url = new URL(`connect/${key.organizationId}`, profile.redirectUri);
        url.searchParams.set('link', link);
        response.status(201).json({ connect_url: url.href, expires_at: expiresAt } satisfies ConnectLinkResponse);
        return 'link_issued';
      }),
    )
    .all(methodNotAllowed('GET, POST'));

  router
    .route('/callback')
    .head(methodNotAllowed('GET'))
    .get(
      rateLimits.browser,
      countOutcome(metrics.callbacks, async (request, response) => {
        const parameters = await oauthService.parseCallback(system, request.query);
        const browserSecret = parseCookie(request.headers.cookie ?? '')[cookie.name(parameters.state)];
        const result = await oauthService.callback(system, parameters, browserSecret);
        redirect(response, returnPages.withOutcome(response.locals.browserFlow?.returnUrl, toOutcome(system, result)));
        return metricOf(result);
      }),
    )
    .all(methodNotAllowed('GET'));

  router
    .route('/confirm/:organization_id')
    .post(rateLimits.change, requireScope('connections:write'), jsonBody(bodyMemory), async (request, response) => {
      const key = connectionKey(request, response, system);
      const { confirmation } = parse(confirmBody, request.body ?? {});
      const connection = await oauthService.confirm(key, confirmation, callerOf(response).actor);
      response.json(toStatus(connection, clock.now()));
    })
    .all(methodNotAllowed('POST'));

  router
    .route('/disconnected')
    .head(methodNotAllowed('GET'))
    .get(rateLimits.browser, async (request, response) => {
      const realmId = strategy.parseDisconnected?.(request.query);
      if (realmId !== undefined) await oauthService.requestVerification(system, realmId);
      redirect(response, returnPages.withOutcome(undefined, { disconnected: 'true', system }));
    })
    .all(methodNotAllowed('GET'));

  return router;
}

/** The cookie that ties a flow to its browser: one for each flow, so that two tabs do not interfere. */
function flowCookie(redirectUri: string): { name: (state: string) => string; options: CookieOptions } {
  const { prefix, options } = cookieRules(redirectUri);
  return {
    name: (state) => `${prefix}oauth_${createHash('sha256').update(state).digest('base64url').slice(0, 16)}`,
    options,
  };
}

/** With tracing, the browser's callback then belongs to the trace of its connect. */
function continueTrace(response: Response, redirectUri: string): void {
  const { traceparent } = currentTrace() ?? {};
  if (traceparent === undefined) return;
  const { prefix, options } = cookieRules(redirectUri);
  response.cookie(`${prefix}${TRACE_COOKIE}`, traceparent, { ...options, maxAge: STATE_LIFETIME_MS });
}

/** What every cookie has that the browser sends with the callback. */
function cookieRules(redirectUri: string): { prefix: string; options: CookieOptions } {
  const callback = new URL(redirectUri);
  const secure = callback.protocol === 'https:';
  return {
    prefix: secure ? '__Host-' : '', // no other host, a subdomain for one, can then set it
    options: { httpOnly: true, sameSite: 'lax', secure, path: secure ? '/' : callback.pathname },
  };
}

function toOutcome(system: string, result: CallbackResult): ReturnOutcome {
  switch (result.kind) {
    case 'connected':
      return { connected: 'true', system };
    case 'pending':
      return { connected: 'pending', system, confirmation: result.confirmation };
    case 'declined':
      return { connected: 'false', system, error: result.error };
  }
}

function metricOf({ kind, isRepeated }: CallbackResult): string {
  if (isRepeated) return 'repeated';
  return kind === 'declined' ? 'consent_refused' : kind;
}
