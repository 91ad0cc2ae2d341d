import { type Request, Router } from 'express';
import { type AuthorizationRequest, readAuthorizationRequest } from './authorization-request.ts';
import { formOf, jsonOf } from './calls.ts';
import type { Companies } from './companies.ts';
import { consentPage, problemPage } from './consent-page.ts';
import type { Fault } from './faults.ts';
import type { Grants } from './grants.ts';
import { empty, html, json, type SimulatedResponse } from './responses.ts';
import type { Serve } from './serve.ts';

/** The app as it is registered with Intuit. */
export interface AppSettings {
  appName: string;
  clientId: string;
  clientSecret: string;
  /** Compared exactly. If absent, any is accepted. */
  redirectUris?: string[];
}

interface Dependencies {
  serve: Serve;
  settings: AppSettings;
  grants: Grants;
  companies: Companies;
}

/** The consent page, the token endpoint and the revocation endpoint. */
export function oauthRoutes({ serve, settings, grants, companies }: Dependencies): Router {
  const router = Router();
  router.get('/connect/oauth2', serve('authorize', showConsent));
  router.post('/connect/oauth2', serve('authorize', submitConsent));
  router.post('/oauth2/v1/tokens/bearer', serve('token', token));
  router.post('/v2/oauth2/tokens/revoke', serve('revoke', revoke));
  return router;

  function showConsent(req: Request): SimulatedResponse {
    const request = read(new URL(req.originalUrl, 'http://simulator').searchParams);
    if (typeof request === 'string') return html(400, problemPage(request));
    return html(200, consentPage(settings.appName, request, companies.list()));
  }

  function submitConsent(req: Request): SimulatedResponse {
    const form = formOf(req);
    const request = read(form);
    if (typeof request === 'string') return html(400, problemPage(request));
    const callback = new URL(request.redirect_uri);
    const realmId = form.get('realmId') ?? '';
    if (form.get('decision') === 'connect') {
      if (!/^\d+$/.test(realmId)) return html(400, problemPage('realmId must consist of digits.'));
      callback.searchParams.set('code', grants.issueCode(realmId, request.redirect_uri));
      callback.searchParams.set('state', request.state);
      callback.searchParams.set('realmId', realmId);
    } else {
      callback.searchParams.set('error', 'access_denied');
      callback.searchParams.set('state', request.state);
    }
    return { status: 302, headers: { location: callback.href }, body: '' };
  }

  function read(parameters: URLSearchParams): AuthorizationRequest | string {
    return readAuthorizationRequest(parameters, settings.clientId, settings.redirectUris);
  }

  function token(req: Request, fault: Fault | undefined): SimulatedResponse {
    if (!isAuthenticated(req)) return json(401, { error: 'invalid_client' });
    const form = formOf(req);
    const [code, redirectUri, refreshToken] = ['code', 'redirect_uri', 'refresh_token'].map((name) => form.get(name));
    const omitRefreshToken = fault?.kind === 'omit_refresh_token';
    const grantType = form.getAll('grant_type').join();

    let issued: ReturnType<Grants['refresh']>;
    if (grantType === 'authorization_code' && code && redirectUri) issued = grants.exchange(code, redirectUri);
    else if (grantType === 'refresh_token' && refreshToken) issued = grants.refresh(refreshToken, !omitRefreshToken);
    else return json(400, { error: 'invalid_request' });
    if (!issued) return json(400, { error: 'invalid_grant' });

    const body: Record<string, string | number> = {
      token_type: 'bearer',
      access_token: issued.accessToken,
      expires_in: issued.expiresIn,
      refresh_token: issued.refreshToken,
      x_refresh_token_expires_in: issued.refreshTokenExpiresIn,
    };
    if (req.get('x-include-refresh-token-hard-expires-in') === 'true')
      body['x_refresh_token_hard_expires_in'] = issued.hardExpiresIn;
    if (omitRefreshToken) delete body['refresh_token'];
    if (fault?.kind === 'strings') for (const name of Object.keys(body)) body[name] = String(body[name]);
    const response = json(200, body);
    return { ...response, headers: { ...response.headers, 'cache-control': 'no-cache, no-store' } };
  }

  function revoke(req: Request): SimulatedResponse {
    if (!isAuthenticated(req)) return json(401, { error: 'invalid_client' });
    const value = (jsonOf(req) as { token?: unknown } | undefined)?.token;
    return empty(typeof value === 'string' && grants.revoke(value) ? 200 : 400);
  }

  function isAuthenticated(req: Request): boolean {
    const credentials = Buffer.from(`${settings.clientId}:${settings.clientSecret}`).toString('base64');
    return req.get('authorization') === `Basic ${credentials}`;
  }
}
