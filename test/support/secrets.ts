import type { OutgoingHttpHeaders, RequestListener } from 'node:http';
import { expect, it } from '@jest/globals';
import type { Call } from '../../dev/intuit-simulator/calls.ts';
import type { IntuitSimulator } from '../../dev/intuit-simulator/simulator.ts';
import type { TestService } from './service.ts';
import type { Stage } from './stage.ts';

/** One answer of the service, as it left. */
export interface RecordedAnswer {
  method: string;
  /** Without the query, which can hold a code or a state. */
  path: string;
  status: number;
  headers: OutgoingHttpHeaders;
  body: string;
}

/** Keeps each answer of `listener` in `answers`. */
export function recordAnswers(listener: RequestListener, answers: RecordedAnswer[]): RequestListener {
  return (request, response) => {
    const { method = '', url = '' } = request;
    const [path = ''] = url.replace(/^https?:\/\/[^/]+/, '').split(/[?#]/, 1);
    const end = response.end.bind(response) as (...parts: unknown[]) => typeof response;
    response.end = (...parts: unknown[]) => {
      const [body] = parts;
      const text = typeof body === 'string' || Buffer.isBuffer(body) ? String(body) : '';
      answers.push({ method, path, status: response.statusCode, headers: response.getHeaders(), body: text });
      return end(...parts);
    };
    listener(request, response);
  };
}

/** Everything in these calls that nobody may be told: codes, tokens, credentials. */
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

/** The last test of a suite: whatever its other tests did, no log line and no answer told a secret. */
export function itKeptSecrets(stage: Stage): void {
  it('has told no token, code, state, cookie or key, in no log line and no answer', () => {
    const { service, secrets } = stage;
    const started = service.answers.filter(beginsAFlow);
    const all = new Set([...secrets, ...secretsOfSettings(service), ...started.flatMap(secretsOfStart)]);
    const told = [
      ...service.logs,
      ...service.answers.filter((answer) => !beginsAFlow(answer)).map((a) => JSON.stringify(a)),
    ];
    expect(told.length).toBeGreaterThan(1);
    for (const secret of all) expect(told.filter((text) => text.includes(secret))).toEqual([]);
    expect(service.logs.filter((line) => /eyJ[\w-]{20}|AB11\d{10}|XAB11|gAAAA/.test(line))).toEqual([]);
  });
}

/** The one answer that has to hold a state and a cookie. */
function beginsAFlow({ headers }: RecordedAnswer): boolean {
  return String(headers['location'] ?? '').includes('/connect/oauth2?');
}

function secretsOfStart({ headers }: RecordedAnswer): string[] {
  const cookie = /=([^;]+)/.exec(String(headers['set-cookie']))?.[1] ?? '';
  return [new URL(String(headers['location'])).searchParams.get('state') ?? '', cookie];
}

function secretsOfSettings({ config }: TestService): string[] {
  return [config.quickbooks.clientSecret, ...config.encryptionKeys, ...config.stateSecrets];
}
