import type { Fault } from '../../dev/intuit-simulator/faults.ts';
import { bearer, KEYS, LIMITED_KEY } from './credentials.ts';
import { secondsFromNow } from './key-set.ts';
import { INTUIT_TEXT, type LeakEnvironment } from './leak-environment.ts';
import { PREFIX } from './requests.ts';

const WRONG_KEY = 'canary-wrong-key-0123456789';
const CHROME = 'text/html,application/xhtml+xml,*/*;q=0.8';
const SLOW = { delayMs: 1_500 };
const FAULTS: Omit<Fault, 'on'>[] = [
  ...(['hang', 'drop_before', 'drop_after', 'hang_after', 'truncate', 'html', 'empty', 'redirect'] as const).map(
    (kind) => ({ kind }),
  ),
  ...(['invalid_client', 'invalid_grant', 'invalid_request', 'omit_refresh_token', 'strings'] as const).map((kind) => ({
    kind,
  })),
  { kind: 'slow', ...SLOW },
  { kind: 'slow_after', ...SLOW },
  { kind: 'json', body: { error: INTUIT_TEXT, access_token: 7, refresh_token: INTUIT_TEXT } },
  ...[400, 401, 403, 429, 500, 503].map((status) => ({
    kind: 'status' as const,
    status,
    times: 2,
    body: { error: INTUIT_TEXT, error_description: INTUIT_TEXT, fault: { error: [{ detail: INTUIT_TEXT }] } },
  })),
];

/** Requests every route, and provokes every failure that a test can provoke. */
export async function requestEverything(environment: LeakEnvironment): Promise<void> {
  await requestAsCallers(environment);
  for (const [at, fault] of FAULTS.entries()) await requestWithFault(environment, fault, at);
  await requestWithInvalidInput(environment);
  await requestWithoutHttp(environment);
  await requestDuringOutages(environment);
  await exceedLimits(environment);
}

async function requestAsCallers(environment: LeakEnvironment): Promise<void> {
  const wrong = bearer(WRONG_KEY);
  environment.canaries.add('wrong key', WRONG_KEY);
  const users = [{}, { aud: 'x' }, { exp: secondsFromNow(-90) }, { organization_id: 'globex' }].map((claims) =>
    environment.user(claims),
  );
  for (const headers of [{}, wrong, ...(await Promise.all(users)), bearer(KEYS.reports), bearer(LIMITED_KEY)])
    for (const [method, path] of [
      ...['GET', 'HEAD', 'POST', 'TRACE', 'PUT'].map((name) => [name, '/connect/acme']),
      ...['GET', 'HEAD', 'DELETE'].map((name) => [name, '/status/acme']),
      ['POST', '/disconnect/acme'],
      ['GET', '/callback'],
      ['GET', '/nowhere'],
    ]) {
      const { status, body } = await environment.request(`${PREFIX}${path}`, method, headers as Record<string, string>);
      if (status === 201)
        environment.canaries.add('link', new URL(JSON.parse(body).connect_url).searchParams.get('link') ?? '');
    }
  for (const path of ['/healthz', '/readyz', '/v3/company/acme/query', '/api/v1/quickbooks/acme/../x'])
    await environment.request(path);
  await environment.request(`${PREFIX}/disconnect/acme`, 'POST', {
    ...bearer(KEYS.billing),
    Origin: 'https://evil.example',
  });
  await environment.request(`${PREFIX}/disconnect/acme`, 'POST', {
    ...bearer(KEYS.billing),
    'Content-Length': '2000000',
  });
}

/** Lets each of Intuit's endpoints fail in this way once, for a company of its own. */
async function requestWithFault(environment: LeakEnvironment, fault: Omit<Fault, 'on'>, at: number): Promise<void> {
  const [organization, realmId] = [`org-${at}`, String(1000 + at)];
  for (const on of ['token', 'companyinfo'] as const) {
    environment.simulator.fail({ ...fault, on });
    await environment.connect(organization, realmId);
    environment.simulator.clearFaults();
  }
  await environment.connect(organization, realmId);
  if (fault.status !== 400 && fault.kind !== 'json' && (fault.status ?? 401) === 401) {
    environment.simulator.fail({ ...fault, on: 'api' }); // any other response of QuickBooks is passed to the caller
    await environment.request(`/api/v1/quickbooks/${organization}/companyinfo/${realmId}`);
    environment.simulator.clearFaults();
  }
  environment.simulator.expireAccessTokens(realmId); // its 401 quotes the token
  environment.simulator.fail({ ...fault, on: 'token', grantType: 'refresh_token' });
  await environment.request(`/v3/company/${organization}/companyinfo/${realmId}`);
  await environment.request(`${PREFIX}/status/${organization}`);
  environment.simulator.clearFaults();
  environment.canaries.addFrom(environment.simulator, environment.realmIds);
  environment.simulator.fail({ ...fault, on: 'revoke' });
  if (at % 2 === 0) await environment.request(`${PREFIX}/disconnect/${organization}`, 'POST');
  environment.simulator.clearFaults();
  environment.canaries.addFrom(environment.simulator, environment.realmIds);
  environment.simulator.resetCalls();
}

async function requestWithInvalidInput(environment: LeakEnvironment): Promise<void> {
  const created = JSON.parse((await environment.request(`${PREFIX}/connect/linked`, 'POST')).body);
  const link = new URL(created.connect_url).searchParams.get('link') ?? '';
  environment.canaries.add('link', link);
  const flow = await environment.consent('linked', '77', {}, `?link=${link}`);
  for (const Accept of ['application/json', CHROME]) {
    await environment.request(`${PREFIX}/connect/linked?link=${link}`, 'GET', { Accept });
    await environment.request(`${PREFIX}/connect/other?link=${link}`, 'GET', { Accept });
    await environment.request(`${PREFIX}/callback?state=${link}&code=canary-code-of-stranger&realmId=77`, 'GET', {
      Accept,
    });
    await environment.request(flow.path, 'GET', { Accept, Cookie: 'oauth_x=canary-cookie-of-stranger' });
    await environment.request(flow.path.replace('state=', 'state=x'), 'GET', { Accept, ...flow.headers });
    await environment.request(`${flow.path}&code=canary-code-of-stranger`, 'GET', { Accept, ...flow.headers });
    await environment.request(`${flow.path}&error=canary-error-of-stranger`, 'GET', { Accept });
  }
  for (let time = 0; time < 2; time += 1) await environment.complete('linked', flow); // the second is a repetition
  await environment.request(`${PREFIX}/connect/linked?link=${link}`, 'GET', { Accept: CHROME }); // consumed
  await environment.request(`${PREFIX}/disconnected?realmId=77`, 'GET', {});
  await environment.request(
    `${PREFIX}/connect/linked`,
    'POST',
    bearer(KEYS.billing),
    '{"return_url":"canary-return-url"}',
  );
  for (const name of ['code', 'cookie', 'error'])
    environment.canaries.add(`foreign ${name}`, `canary-${name}-of-stranger`);
  const refused = await environment.consent('linked', '78');
  const withError = `${PREFIX}/callback?error=canary-error-of-stranger&state=${new URLSearchParams(refused.path.split('?')[1]).get('state')}`;
  await environment.request(withError, 'GET', refused.headers);
  environment.simulator.revokeGrant('77');
  await environment
    .knex('oauth_tokens')
    .where('organization_id', 'linked')
    .update({ access_token_expires_at: new Date(0) });
  for (let time = 0; time < 2; time += 1) await environment.request('/v3/company/linked/query');
}

/** Sends credentials in what the HTTP parser rejects, and in calls whose scope is missing. */
async function requestWithoutHttp(environment: LeakEnvironment): Promise<void> {
  const head = (method: string, headers: string) =>
    `${method} ${PREFIX}/connect/acme?link=canary-unparsed-link HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`;
  const key = `Authorization: Bearer ${KEYS.billing}\r\n`;
  environment.canaries.add('unparsed link', 'canary-unparsed-link');
  await environment.requestRaw(head('GET', `${key}${key.repeat(600)}`));
  await environment.requestRaw(head('GET', `${key}: ${KEYS.billing}\r\n`));
  await environment.requestRaw(head(KEYS.billing.toUpperCase(), key));
  await environment.requestRaw(head('GET', `${key}Expect: ${KEYS.billing}\r\n`));
  await environment.requestRaw(head('POST', `${key}Transfer-Encoding: chunked\r\n\r\n${KEYS.billing}`));
  await environment.requestRaw(`CONNECT ${KEYS.billing}:443 HTTP/1.1\r\nHost: ${KEYS.billing}\r\n${key}\r\n`);
  for (const [method, path] of [
    ['POST', `${PREFIX}/confirm/acme`],
    ['GET', `${PREFIX}/events/acme`],
    ['GET', '/v3/company/acme/invoice/1'],
    ['POST', '/v3/company/acme/query'],
  ] as const)
    await environment.request(path, method, bearer(LIMITED_KEY));
}

async function requestDuringOutages(environment: LeakEnvironment): Promise<void> {
  await environment.connect('broken', '88');
  await environment
    .knex('oauth_tokens')
    .where('organization_id', 'broken')
    .update({ access_token: 'canary-no-ciphertext' as never });
  await environment.request('/v3/company/broken/query');
  const flow = await environment.consent('away', '89');
  environment.relay.refuse();
  for (const path of [`${PREFIX}/status/away`, '/v3/company/away/query', '/readyz']) await environment.request(path);
  await environment.request(flow.path, 'GET', flow.headers);
  await environment.request(`${PREFIX}/disconnect/away`, 'POST');
  await environment.relay.pass();
  await environment.complete('away', flow);
  environment.canaries.addFrom(environment.simulator, environment.realmIds);
  environment.keySet.response = 'broken';
  await environment.request(`${PREFIX}/status/acme`, 'GET', await environment.user({ jti: 'again' }));
}

/** Sends wrong credentials until they are rate-limited. */
async function exceedLimits(environment: LeakEnvironment): Promise<void> {
  const request = () => environment.request(`${PREFIX}/status/acme`, 'GET', bearer(WRONG_KEY));
  while ((await request()).status !== 429);
}
