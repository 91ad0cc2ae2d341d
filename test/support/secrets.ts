import type { OutgoingHttpHeaders, RequestListener } from 'node:http';
import { expect, it } from '@jest/globals';
import type { Express } from 'express';
import type { Call } from '../../dev/intuit-simulator/calls.ts';
import type { IntuitSimulator } from '../../dev/intuit-simulator/simulator.ts';
import type { Harness } from './harness.ts';
import type { TestService } from './service.ts';

/** One response of the service, as it was sent. */
export interface RecordedResponse {
  method: string;
  /** Without the query, which can contain a code or a state. */
  path: string;
  status: number;
  headers: OutgoingHttpHeaders;
  body: string;
}

/** Records each response of an application. */
export function recordResponses(app: Express, responses: RecordedResponse[]): RequestListener {
  const record: RequestListener = (request, response) => {
    const { method = '', url = '' } = request;
    const [path = ''] = url.replace(/^https?:\/\/[^/]+/, '').split(/[?#]/, 1);
    const end = response.end.bind(response) as (...parts: unknown[]) => typeof response;
    response.end = (...parts: unknown[]) => {
      const [body] = parts;
      const text = typeof body === 'string' || Buffer.isBuffer(body) ? String(body) : '';
      responses.push({ method, path, status: response.statusCode, headers: response.getHeaders(), body: text });
      return end(...parts);
    };
    app(request, response);
  };
  const { request, response } = app as unknown as Record<'request' | 'response', object>;
  return Object.assign(record, { request, response }); // so that the server creates them by the application's classes
}

/** Everything secret in these calls: codes, tokens, credentials. */
export function secretsOfCalls(calls: readonly Call[], simulator: IntuitSimulator): string[] {
  return calls.flatMap((call) => {
    const { code, refresh_token } = Object(call.body) as Record<string, string | undefined>;
    const grant = simulator.grantFor(/\/v3\/company\/(\d+)\//.exec(call.path)?.[1] ?? '');
    const credentials = call.headers.authorization?.replace(/^\w+ /, '');
    return [code, refresh_token, call.token, credentials, grant?.refreshToken, ...(grant?.accessTokens ?? [])].filter(
      (secret) => secret !== undefined,
    );
  });
}

/** The last test of a suite: whatever its other tests did, no log line and no response contains a secret. */
export function itKeptSecrets(harness: Harness): void {
  it('leaves no token, code, state, cookie or key in any log line or response', () => {
    const { service, secrets } = harness;
    const started = service.responses.filter(startsFlow);
    const all = new Set([...secrets, ...secretsOfSettings(service), ...started.flatMap(secretsOfStart)]);
    const visible = [
      ...service.logs,
      ...service.responses.filter((response) => !startsFlow(response)).map((response) => JSON.stringify(response)),
    ];
    expect(visible.length).toBeGreaterThan(1);
    for (const secret of all) expect(visible.filter((text) => text.includes(secret))).toEqual([]);
    expect(service.logs.filter((line) => /eyJ[\w-]{20}|AB11\d{10}|XAB11|gAAAA/.test(line))).toEqual([]);
  });
}

/** The one response that must contain a state and a cookie. */
function startsFlow({ headers }: RecordedResponse): boolean {
  return String(headers['location'] ?? '').includes('/connect/oauth2?');
}

function secretsOfStart({ headers }: RecordedResponse): string[] {
  const cookie = /=([^;]+)/.exec(String(headers['set-cookie']))?.[1] ?? '';
  return [new URL(String(headers['location'])).searchParams.get('state') ?? '', cookie];
}

function secretsOfSettings({ config }: TestService): string[] {
  return [config.quickbooks.clientSecret, ...config.encryptionKeys, ...config.stateSecrets];
}
