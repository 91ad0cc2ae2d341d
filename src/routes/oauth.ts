import { createHash } from 'node:crypto';
import { parseCookie } from 'cookie';
import { type CookieOptions, Router } from 'express';
import { STATE_LIFETIME_MS } from '../auth/oauth-states.ts';
import type { Config } from '../config/config.ts';
import type { Context } from '../context.ts';
import { callerOf } from '../middleware/locals.ts';
import { methodNotAllowed } from '../middleware/method-not-allowed.ts';
import { countOutcome } from '../middleware/request-metrics.ts';
import { type ConnectLinkResponse, type Disconnected, toStatus } from '../schemas/connection.ts';
import { type EventPage, toEventFields } from '../schemas/events.ts';
import { parse } from '../schemas/parse.ts';
import { eventsQuery } from '../schemas/requests.ts';
import type { AccountingStrategy } from '../strategies/accounting-strategy.ts';
import { connectionKey } from './connection-key.ts';

/** connect, callback, status, disconnect and events of one provider, below `/api/v1/oauth/{provider}`. */
export function createOAuthRouter(context: Context, strategy: AccountingStrategy): Router {
  const { config, oauthService, links, rateLimits, metrics, clock } = context;
  const { system, profile } = strategy;
  const router = Router();
  const cookie = flowCookie(profile.redirectUri);

  router
    .route('/connect/:organization_id')
    .head(methodNotAllowed('GET, POST'))
    .get(
      rateLimits.browser,
      countOutcome(metrics.connects, async (request, response) => {
        const key = connectionKey(request, response, system);
        const { link } = response.locals;
        if (link) await oauthService.consumeLink(link);
        const flow = oauthService.connect(key, callerOf(response).actor);
        response.cookie(cookie.name(flow.state), flow.browserSecret, { ...cookie.options, maxAge: STATE_LIFETIME_MS });
        response.redirect(flow.authorizationUrl);
        return 'redirected';
      }),
    )
    .post(
      rateLimits.change,
      countOutcome(metrics.connects, (request, response) => {
        const key = connectionKey(request, response, system);
        const { link, expiresAt } = links.issue(key, callerOf(response).actor);
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
        const parameters = strategy.parseCallback(request.query);
        const name = cookie.name(parameters.state);
        const browserSecret = parseCookie(request.headers.cookie ?? '')[name];
        const outcome = await oauthService.callback(system, parameters, browserSecret);
        response.clearCookie(name, cookie.options);
        response.redirect(returnUrl(config, system, outcome));
        return outcome.connected ? 'connected' : 'consent_refused';
      }),
    )
    .all(methodNotAllowed('GET'));

  router
    .route('/status/:organization_id')
    .get(rateLimits.read, async (request, response) => {
      const connection = await oauthService.status(connectionKey(request, response, system));
      response.json(toStatus(connection, clock.now()));
    })
    .all(methodNotAllowed('GET, HEAD'));

  router
    .route('/disconnect/:organization_id')
    .post(rateLimits.change, async (request, response) => {
      await oauthService.disconnect(connectionKey(request, response, system), callerOf(response).actor);
      response.json({ success: true, message: 'Disconnected successfully' } satisfies Disconnected);
    })
    .all(methodNotAllowed('POST'));

  router
    .route('/events/:organization_id')
    .get(rateLimits.read, async (request, response) => {
      const key = connectionKey(request, response, system);
      const { limit, before } = parse(eventsQuery, request.query);
      const events = await oauthService.listEvents(key, limit + 1, before);
      const page = events.slice(0, limit);
      const next = events.length > limit ? String(page.at(-1)?.position) : null;
      response.json({ events: page.map(toEventFields), next } satisfies EventPage);
    })
    .all(methodNotAllowed('GET, HEAD'));

  return router;
}

/** The cookie that ties a flow to its browser: one for each flow, so that two tabs do not interfere. */
function flowCookie(redirectUri: string): { name: (state: string) => string; options: CookieOptions } {
  const callback = new URL(redirectUri);
  const secure = callback.protocol === 'https:';
  return {
    name: (state) =>
      `${secure ? '__Secure-' : ''}oauth_${createHash('sha256').update(state).digest('base64url').slice(0, 16)}`,
    options: { httpOnly: true, sameSite: 'lax', secure, path: callback.pathname },
  };
}

function returnUrl(config: Config, system: string, outcome: { connected: boolean; error?: string }): string {
  const query = new URLSearchParams({ connected: String(outcome.connected), system });
  if (outcome.error) query.set('error', outcome.error);
  return `${config.frontendUrl}/settings/integrations?${query}`;
}
