import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import express from 'express';
import { type ApiSettings, apiRoutes } from './api-routes.ts';
import type { Call, Endpoint } from './calls.ts';
import { Companies, SANDBOX_COMPANIES } from './companies.ts';
import { controlRoutes } from './control-routes.ts';
import { type Fault, Faults } from './faults.ts';
import { type GrantSettings, Grants } from './grants.ts';
import { type AppSettings, oauthRoutes } from './oauth-routes.ts';
import { randomTid } from './random-values.ts';
import { createServe, type RecordSettings } from './serve.ts';
import { type Choice, submitConsent } from './submit-consent.ts';

/** How the simulated Intuit behaves. Can be changed while it runs. */
export type IntuitSimulatorSettings = GrantSettings & AppSettings & ApiSettings & RecordSettings;

/** Every option has a default. */
export interface IntuitSimulatorOptions extends Partial<IntuitSimulatorSettings> {
  /** Default: 0, any free port. */
  port?: number;
  host?: string;
  /** Where browsers and the service reach it. Default: `http://{host}:{port}`. */
  publicOrigin?: string;
  /** Names by realm ID. */
  companies?: Record<string, string>;
}

/** A running simulator. */
export interface IntuitSimulator {
  origin: string;
  urls: ReturnType<typeof urlsOf>;
  settings: IntuitSimulatorSettings;
  /** The calls since the start or the last reset, in order of arrival. */
  calls: Call[];
  /** How many responses were sent, by endpoint and status: `api 200`. */
  totals: Record<string, number>;
  callsTo(endpoint: Endpoint, grantType?: string): Call[];
  resetCalls(): void;
  /** Applies a fault to the next calls that match it. @throws TypeError if the simulator does not know the fault */
  fail(fault: Fault): void;
  /** Makes the next call that matches wait until the returned function is called. */
  hold(fault: Omit<Fault, 'kind'> & { kind: 'slow' | 'slow_after' }): () => void;
  clearFaults(): void;
  /** Submits the consent page without a browser. Returns the callback's URL. @throws Error with the page's text */
  authorize(authorizeUrl: string, choice?: Partial<Choice>): Promise<string>;
  issueCode(grant: { realmId: string; redirectUri: string }): string;
  /** Returns the company's newest grant, with its access tokens that have not expired. */
  grantFor(realmId: string): { accessTokens: string[]; refreshToken: string; revoked: boolean } | undefined;
  /** Revokes the company's grants, as a user does inside QuickBooks. False if it has none. */
  revokeGrant(realmId: string): boolean;
  expireAccessTokens(realmId: string): void;
  /** @param name undefined for a company of the other environment, for which every API call returns 403 */
  setCompany(realmId: string, name: string | undefined): void;
  /** Stops the simulator, and breaks the connections that are still open. */
  close(): Promise<void>;
}

/** Starts a simulation of Intuit on a local port: consent page, tokens, revocation and API, with faults on demand. */
export async function startIntuitSimulator(options: IntuitSimulatorOptions = {}): Promise<IntuitSimulator> {
  const { port = 0, host = '127.0.0.1', publicOrigin, companies: names = SANDBOX_COMPANIES, ...changed } = options;
  const settings: IntuitSimulatorSettings = { ...DEFAULT_SETTINGS, ...changed };
  const now = () => settings.now();
  const calls: Call[] = [];
  const totals: Record<string, number> = {};
  const faults = new Faults();
  const grants = new Grants(settings);
  const companies = new Companies(names);
  const firstRealmId = companies.list()[0]?.realmId ?? '1';
  const serve = createServe({ calls, totals, faults, settings, now });

  const app = express().disable('x-powered-by');
  const server = createServer(app);
  server.listen(port, host);
  await once(server, 'listening');
  const origin = publicOrigin ?? `http://${host}:${(server.address() as AddressInfo).port}`;
  const urls = urlsOf(origin);

  const simulator: IntuitSimulator = {
    origin,
    urls,
    settings,
    calls,
    totals,
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
    authorize: (url, choice) => submitConsent(urls.authorizeUrl, url, { realmId: firstRealmId, ...choice }),
    issueCode: ({ realmId, redirectUri }) => grants.issueCode(realmId, redirectUri),
    grantFor: (realmId) => grants.findNewest(realmId),
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
  app.use(oauthRoutes({ serve, settings, grants, companies }));
  app.use('/v3/company/:realmId', apiRoutes({ serve, grants, companies, settings, now }));
  app.use('/simulator', controlRoutes(simulator));
  return simulator;
}

/** For QBO_AUTHORIZE_URL, QBO_TOKEN_URL, QBO_REVOKE_URL and QBO_API_BASE_URL. */
export function urlsOf(origin: string) {
  return {
    authorizeUrl: `${origin}/connect/oauth2`,
    tokenUrl: `${origin}/oauth2/v1/tokens/bearer`,
    revokeUrl: `${origin}/v2/oauth2/tokens/revoke`,
    apiBaseUrl: origin,
  };
}

export const DEFAULT_SETTINGS: IntuitSimulatorSettings = {
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
  keptCalls: Number.POSITIVE_INFINITY,
};
