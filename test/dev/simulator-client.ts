import { afterEach, beforeEach, expect } from '@jest/globals';
import {
  type IntuitSimulator,
  type IntuitSimulatorOptions,
  startIntuitSimulator,
} from '../../dev/intuit-simulator/simulator.ts';
import { TestClock } from '../support/test-clock.ts';

export const REDIRECT_URI = 'http://localhost:8080/callback';
export const REALM = '9341452000000001';
export const BASIC = `Basic ${Buffer.from('simulator-client-id:simulator-client-secret').toString('base64')}`;

interface Tokens {
  access_token: string;
  refresh_token: string;
}

/** A simulator for each test, and a client that calls it as a service would. */
export class SimulatorClient {
  readonly clock = new TestClock();
  simulator!: IntuitSimulator;

  async start(options: IntuitSimulatorOptions = {}): Promise<void> {
    this.simulator = await startIntuitSimulator({ now: () => this.clock.now(), ...options });
  }

  async restart(options: IntuitSimulatorOptions): Promise<void> {
    await this.simulator.close();
    await this.start(options);
  }

  authorizationUrl(changes: Record<string, string> = {}): string {
    const parameters = {
      client_id: 'simulator-client-id',
      response_type: 'code',
      scope: 'com.intuit.quickbooks.accounting',
      redirect_uri: REDIRECT_URI,
      state: 'the-state',
      ...changes,
    };
    return `${this.simulator.urls.authorizeUrl}?${new URLSearchParams(parameters)}`;
  }

  newCode(realmId = REALM): string {
    return this.simulator.issueCode({ realmId, redirectUri: REDIRECT_URI });
  }

  /** The tokens of a new grant, whose exchange is not among the recorded calls. */
  async connect(realmId = REALM): Promise<Tokens> {
    const { body } = await this.token({
      grant_type: 'authorization_code',
      code: this.newCode(realmId),
      redirect_uri: REDIRECT_URI,
    });
    this.simulator.resetCalls();
    return body as unknown as Tokens;
  }

  async refresh(refreshToken: string): Promise<Tokens> {
    const { status, body } = await this.token({ grant_type: 'refresh_token', refresh_token: refreshToken });
    expect(status).toBe(200);
    return body as unknown as Tokens;
  }

  /** Sends a refresh token. True if it was rejected. */
  async isRejected(refreshToken: string): Promise<boolean> {
    const { status, body } = await this.token({ grant_type: 'refresh_token', refresh_token: refreshToken });
    return status === 400 && body['error'] === 'invalid_grant';
  }

  /** A request to the token endpoint, with its response as it is. */
  postToken(fields: Record<string, string>, headers: Record<string, string> = {}, signal?: AbortSignal) {
    return fetch(this.simulator.urls.tokenUrl, {
      method: 'POST',
      headers: { authorization: BASIC, ...headers },
      body: new URLSearchParams(fields),
      redirect: 'manual',
      signal: signal ?? null,
    });
  }

  /** A request to the token endpoint, with its response as JSON. */
  async token(fields: Record<string, string>, headers: Record<string, string> = {}) {
    const response = await this.postToken(fields, headers);
    const body = (await response.json()) as Record<string, string | number>;
    return { status: response.status, headers: response.headers, body };
  }

  postRevoke(token: string, authorization = BASIC): Promise<Response> {
    return fetch(this.simulator.urls.revokeUrl, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body: JSON.stringify({ token }),
    });
  }

  /** Returns the status of a revocation. */
  async revoke(token: string, authorization = BASIC): Promise<number> {
    return statusOf(await this.postRevoke(token, authorization));
  }

  api(
    resource: string,
    accessToken: string,
    { realmId = REALM, ...init }: RequestInit & { realmId?: string } = {},
  ): Promise<Response> {
    const headers = { ...(init.headers as Record<string, string>), authorization: `Bearer ${accessToken}` };
    return fetch(`${this.simulator.urls.apiBaseUrl}/v3/company/${realmId}/${resource}`, { ...init, headers });
  }

  /** Returns the status of a request for the company. */
  async companyStatus(accessToken: string, realmId = REALM): Promise<number> {
    return statusOf(await this.api(`companyinfo/${realmId}`, accessToken, { realmId }));
  }
}

/** Each test has a new simulator, whose clock stands still. */
export function useSimulator(): SimulatorClient {
  const client = new SimulatorClient();
  beforeEach(async () => {
    client.clock.setWallClock(new Date('2026-02-10T14:00:00Z'));
    await client.start();
  });
  afterEach(() => client.simulator.close());
  return client;
}

async function statusOf(response: Response): Promise<number> {
  await response.text();
  return response.status;
}
