import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import express from 'express';
import { apiRoutes } from './api-routes.ts';
import type { Call, Endpoint } from './calls.ts';
import { Companies, sandboxCompanies } from './companies.ts';
import { controlRoutes } from './control-routes.ts';
import { type Choice, decideAt } from './decide-at.ts';
import { type Fault, Faults } from './faults.ts';
import { type GrantSettings, Grants } from './grants.ts';
import { type AppSettings, oauthRoutes } from './oauth-routes.ts';
import { randomTid } from './random-values.ts';
import { servedWith } from './serve.ts';

/** How this Intuit behaves; may be changed while it runs. */
export type IntuitSimulatorSettings = GrantSettings & AppSettings;

/** All may be left out. */
export interface IntuitSimulatorOptions extends Partial<IntuitSimulatorSettings> {
  /** 0, the default: any free one. */
  port?: number;
  host?: string;
  /** How browsers and the service reach it, when that is not `http://{host}:{port}`. */
  publicOrigin?: string;
  /** Names by realm id. */
  companies?: Record<string, string>;
}

/** A running simulator. */
export interface IntuitSimulator {
  origin: string;
  /** What QBO_AUTHORIZE_URL, QBO_TOKEN_URL, QBO_REVOKE_URL and QBO_API_BASE_URL are to be. */
  urls: { authorizeUrl: string; tokenUrl: string; revokeUrl: string; apiBaseUrl: string };
  settings: IntuitSimulatorSettings;
  /** Since the start or the last reset, in order of arrival. */
  calls: Call[];
  callsTo(endpoint: Endpoint, grantType?: string): Call[];
  resetCalls(): void;
  /** Makes calls to come go wrong; throws a TypeError for a fault it does not know. */
  fail(fault: Fault): void;
  /** Makes one call to come wait until the returned function is called. */
  hold(fault: Omit<Fault, 'kind'> & { kind: 'slow' | 'slow_after' }): () => void;
  clearFaults(): void;
  /** What a person does on the consent page, without a browser: the callback's URL. Throws what the page says. */
  authorize(authorizeUrl: string, choice?: Partial<Choice>): Promise<string>;
  issueCode(grant: { realmId: string; redirectUri: string }): string;
  /** The company's newest grant; its access tokens are those that have time left. */
  grantFor(realmId: string): { accessTokens: string[]; refreshToken: string; revoked: boolean } | undefined;
  /** As if the person disconnected the app inside QuickBooks; false when the company has no grant. */
  revokeGrant(realmId: string): boolean;
  expireAccessTokens(realmId: string): void;
  /** Undefined: a company of the other environment, 403 for everyone. */
  setCompany(realmId: string, name: string | undefined): void;
  /** Breaks what is still open. */
  close(): Promise<void>;
}

/** Plays Intuit on a local port: consent page, tokens, revocation and API, with faults on demand. */
export async function startIntuitSimulator(options: IntuitSimulatorOptions = {}): Promise<IntuitSimulator> {
  const { port = 0, host = '127.0.0.1', publicOrigin, companies: names = sandboxCompanies, ...changed } = options;
  const settings: IntuitSimulatorSettings = { ...defaultSettings, ...changed };
  const now = () => settings.now();
  const calls: Call[] = [];
  const faults = new Faults();
  const grants = new Grants(settings);
  const companies = new Companies(names);
  const firstRealmId = companies.list()[0]?.realmId ?? '1';
  const serve = servedWith(calls, faults, now);

  const app = express().disable('x-powered-by');
  const server = createServer(app);
  server.listen(port, host);
  await once(server, 'listening');
  const origin = publicOrigin ?? `http://${host}:${(server.address() as AddressInfo).port}`;
  const authorizeUrl = `${origin}/connect/oauth2`;

  const simulator: IntuitSimulator = {
    origin,
    urls: {
      authorizeUrl,
      tokenUrl: `${origin}/oauth2/v1/tokens/bearer`,
      revokeUrl: `${origin}/v2/oauth2/tokens/revoke`,
      apiBaseUrl: origin,
    },
    settings,
    calls,
    callsTo: (endpoint, grantType) =>
      calls.filter((call) => call.endpoint === endpoint && (!grantType || call.grantType === grantType)),
    resetCalls: () => void calls.splice(0),
    fail: (fault) => faults.add(fault),
    hold: (fault) => {
      let release = () => {};
      const until = new Promise<void>((resolve) => {
        release = resolve;
      });
      faults.add({ ...fault, until });
      return release;
    },
    clearFaults: () => faults.clear(),
    authorize: (url, choice) => decideAt(authorizeUrl, url, { realmId: firstRealmId, ...choice }),
    issueCode: ({ realmId, redirectUri }) => grants.issueCode(realmId, redirectUri),
    grantFor: (realmId) => grants.newest(realmId),
    revokeGrant: (realmId) => grants.revokeCompany(realmId),
    expireAccessTokens: (realmId) => grants.expireAccessTokens(realmId),
    setCompany: (realmId, name) => companies.set(realmId, name),
    async close() {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };

  app.use(async (req, res, next) => {
    res.setHeader('intuit_tid', randomTid());
    req.body = await buffer(req);
    next();
  });
  app.use(oauthRoutes(serve, settings, grants, companies));
  app.use('/v3/company/:realmId', apiRoutes(serve, grants, companies, now));
  app.use('/simulator', controlRoutes(simulator));
  return simulator;
}

const defaultSettings: IntuitSimulatorSettings = {
  appName: 'Octup',
  clientId: 'simulator-client-id',
  clientSecret: 'simulator-client-secret',
  now: () => new Date(),
  accessTokenSeconds: 3600,
  refreshTokenSeconds: 8_726_400,
  hardSeconds: 157_680_000,
  rotationGrace: false,
  reuseRevokesFamily: true,
  oneGrantPerCompany: false,
};
