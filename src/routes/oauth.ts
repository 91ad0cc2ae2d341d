import { createHash } from 'node:crypto';
import { parseCookie } from 'cookie';
import { type CookieOptions, type Request, Router } from 'express';
import { STATE_LIFETIME_MS } from '../auth/oauth-states.ts';
import type { Config } from '../config/config.ts';
import type { Context } from '../context.ts';
import { toEventFields } from '../jobs/webhook-job.ts';
import { callerOf, linkOf } from '../middleware/authenticate.ts';
import { methodNotAllowed } from '../middleware/method-not-allowed.ts';
import { counted } from '../middleware/request-metrics.ts';
import type { Connection } from '../models/connection.ts';
import type { ConnectLinkAnswer, Disconnected, Status } from '../schemas/connection.ts';
import type { EventPage } from '../schemas/events.ts';
import { callbackCode, callbackError, eventsQuery } from '../schemas/requests.ts';
import { organizationOf, parse } from './parse.ts';

/** connect, callback, status, disconnect, and the events of them, below `/api/v1/oauth/quickbooks`. */
export function createOAuthRouter(context: Context): Router {
  const { config, oauthService, connectLinks, rateLimits, metrics, now } = context;
  const router = Router();
  const cookie = flowCookie(config);

  router
    .route('/connect/:organization_id')
    .head(methodNotAllowed('GET, POST'))
    .get(
      rateLimits.browser,
      counted(metrics.connects, async (request, response) => {
        const organizationId = organizationOf(request, response);
        const link = linkOf(response);
        if (link) await oauthService.spendLink(link);
        const { authorizationUrl, state, browserSecret } = oauthService.connect(
          organizationId,
          callerOf(response).actor,
        );
        response.cookie(cookie.name(state), browserSecret, { ...cookie.options, maxAge: STATE_LIFETIME_MS });
        response.redirect(authorizationUrl);
        return 'redirected';
      }),
    )
    .post(
      rateLimits.change,
      counted(metrics.connects, (request, response) => {
        const organizationId = organizationOf(request, response);
        const { link, expiresAt } = connectLinks.issue(organizationId, callerOf(response).actor);
        const url = new URL(`connect/${organizationId}`, config.quickbooks.redirectUri);
        url.searchParams.set('link', link);
        response.status(201).json({ connect_url: url.href, expires_at: expiresAt } satisfies ConnectLinkAnswer);
        return 'link_issued';
      }),
    )
    .all(methodNotAllowed('GET, POST'));

  router
    .route('/callback')
    .head(methodNotAllowed('GET'))
    .get(
      rateLimits.browser,
      counted(metrics.callbacks, async (request, response) => {
        const parameters = parseCallback(request);
        const name = cookie.name(parameters.state);
        const outcome = await oauthService.callback(parameters, parseCookie(request.headers.cookie ?? '')[name]);
        response.clearCookie(name, cookie.options);
        response.redirect(frontendUrl(config, outcome));
        return outcome.connected ? 'connected' : 'consent_refused';
      }),
    )
    .all(methodNotAllowed('GET'));

  router
    .route('/status/:organization_id')
    .get(rateLimits.read, async (request, response) => {
      const connection = await oauthService.status(organizationOf(request, response));
      response.json(toStatus(connection, now()));
    })
    .all(methodNotAllowed('GET, HEAD'));

  router
    .route('/disconnect/:organization_id')
    .post(rateLimits.change, async (request, response) => {
      await oauthService.disconnect(organizationOf(request, response), callerOf(response).actor);
      response.json({ success: true, message: 'Disconnected successfully' } satisfies Disconnected);
    })
    .all(methodNotAllowed('POST'));

  router
    .route('/events/:organization_id')
    .get(rateLimits.read, async (request, response) => {
      const organizationId = organizationOf(request, response);
      const { limit, before } = parse(eventsQuery, request.query);
      const events = await oauthService.listEvents(organizationId, limit + 1, before);
      const page = events.slice(0, limit);
      const next = events.length > limit ? String(page.at(-1)?.position) : null;
      response.json({ events: page.map(toEventFields), next } satisfies EventPage);
    })
    .all(methodNotAllowed('GET, HEAD'));

  return router;
}

function parseCallback(request: Request) {
  return 'error' in request.query ? parse(callbackError, request.query) : parse(callbackCode, request.query);
}

/** The cookie that ties a flow to its browser: one for each flow, so that two tabs do not disturb each other. */
function flowCookie(config: Config): { name: (state: string) => string; options: CookieOptions } {
  const callback = new URL(config.quickbooks.redirectUri);
  const secure = callback.protocol === 'https:';
  return {
    name: (state) =>
      `${secure ? '__Secure-' : ''}oauth_${createHash('sha256').update(state).digest('base64url').slice(0, 16)}`,
    options: { httpOnly: true, sameSite: 'lax', secure, path: callback.pathname },
  };
}

function frontendUrl(config: Config, outcome: { connected: boolean; error?: string }): string {
  const query = new URLSearchParams({ connected: String(outcome.connected), system: 'quickbooks' });
  if (outcome.error) query.set('error', outcome.error);
  return `${config.frontendUrl}/settings/integrations?${query}`;
}

function toStatus(connection: Connection | undefined, now: Date): Status {
  const active = connection?.isActive ? connection : undefined;
  return {
    connected: active !== undefined,
    accounting_system: connection?.system ?? null,
    realm_id: connection?.realmId ?? null,
    company_name: connection?.companyName ?? null,
    expires_at: active?.accessTokenExpiresAt ?? null,
    is_expired: active !== undefined && active.accessTokenExpiresAt <= now,
    needs_reauthorization: connection?.lossReason !== undefined,
    reason: connection?.lossReason ?? null,
    refresh_token_expires_at: active?.refreshTokenExpiresAt ?? null,
    last_refreshed_at: connection?.lastRefreshedAt ?? null,
  };
}
