import type { Fault } from '../../dev/intuit-simulator/faults.ts';
import { bearer, KEYS } from './credentials.ts';
import { secondsFromNow } from './key-set.ts';
import { type LeakStage, QUOTE } from './leak-stage.ts';
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
  { kind: 'json', body: { error: QUOTE, access_token: 7, refresh_token: QUOTE } },
  ...[400, 401, 403, 429, 500, 503].map((status) => ({
    kind: 'status' as const,
    status,
    times: 2,
    body: { error: QUOTE, error_description: QUOTE, fault: { error: [{ detail: QUOTE }] } },
  })),
];

/** Every route, and every failure that there is a way to. */
export async function driveEverything(stage: LeakStage): Promise<void> {
  await driveCallers(stage);
  for (const [at, fault] of FAULTS.entries()) await driveFaults(stage, fault, at);
  await driveRefusals(stage);
  await driveOutages(stage);
  await driveFlood(stage);
}

async function driveCallers(stage: LeakStage): Promise<void> {
  const wrong = bearer(WRONG_KEY);
  stage.canaries.add('wrong key', WRONG_KEY);
  const users = [{}, { aud: 'x' }, { exp: secondsFromNow(-90) }, { organization_id: 'globex' }].map((claims) =>
    stage.user(claims),
  );
  for (const headers of [{}, wrong, ...(await Promise.all(users)), bearer(KEYS.reports)])
    for (const [method, path] of [
      ...['GET', 'HEAD', 'POST', 'TRACE', 'PUT'].map((name) => [name, '/connect/acme']),
      ...['GET', 'HEAD', 'DELETE'].map((name) => [name, '/status/acme']),
      ['POST', '/disconnect/acme'],
      ['GET', '/callback'],
      ['GET', '/nowhere'],
    ]) {
      const { status, body } = await stage.ask(`${PREFIX}${path}`, method, headers as Record<string, string>);
      if (status === 201)
        stage.canaries.add('link', new URL(JSON.parse(body).connect_url).searchParams.get('link') ?? '');
    }
  for (const path of ['/healthz', '/readyz', '/v3/company/acme/query', '/api/v1/quickbooks/acme/../x'])
    await stage.ask(path);
  await stage.ask(`${PREFIX}/disconnect/acme`, 'POST', { ...bearer(KEYS.billing), Origin: 'https://evil.example' });
  await stage.ask(`${PREFIX}/disconnect/acme`, 'POST', { ...bearer(KEYS.billing), 'Content-Length': '2000000' });
}

/** Each of Intuit's endpoints fails in this way once, for a company of its own. */
async function driveFaults(stage: LeakStage, fault: Omit<Fault, 'on'>, at: number): Promise<void> {
  const [organization, realmId] = [`org-${at}`, String(1000 + at)];
  for (const on of ['token', 'companyinfo'] as const) {
    stage.simulator.fail({ ...fault, on });
    await stage.connect(organization, realmId);
    stage.simulator.clearFaults();
  }
  await stage.connect(organization, realmId);
  if (fault.status !== 400 && fault.kind !== 'json' && (fault.status ?? 401) === 401) {
    stage.simulator.fail({ ...fault, on: 'api' }); // any other answer of QuickBooks' is the caller's to see
    await stage.ask(`/api/v1/quickbooks/${organization}/companyinfo/${realmId}`);
    stage.simulator.clearFaults();
  }
  stage.simulator.expireAccessTokens(realmId); // its 401 quotes the token
  stage.simulator.fail({ ...fault, on: 'token', grantType: 'refresh_token' });
  await stage.ask(`/v3/company/${organization}/companyinfo/${realmId}`);
  await stage.ask(`${PREFIX}/status/${organization}`);
  stage.simulator.clearFaults();
  stage.canaries.addFrom(stage.simulator, stage.realmIds);
  stage.simulator.fail({ ...fault, on: 'revoke' });
  if (at % 2 === 0) await stage.ask(`${PREFIX}/disconnect/${organization}`, 'POST');
  stage.simulator.clearFaults();
  stage.canaries.addFrom(stage.simulator, stage.realmIds);
  stage.simulator.resetCalls();
}

async function driveRefusals(stage: LeakStage): Promise<void> {
  const asked = JSON.parse((await stage.ask(`${PREFIX}/connect/linked`, 'POST')).body);
  const link = new URL(asked.connect_url).searchParams.get('link') ?? '';
  stage.canaries.add('link', link);
  const flow = await stage.consent('linked', '77', {}, `?link=${link}`);
  for (const Accept of ['application/json', CHROME]) {
    await stage.ask(`${PREFIX}/connect/linked?link=${link}`, 'GET', { Accept });
    await stage.ask(`${PREFIX}/connect/other?link=${link}`, 'GET', { Accept });
    await stage.ask(`${PREFIX}/callback?state=${link}&code=canary-code-of-mine&realmId=77`, 'GET', { Accept });
    await stage.ask(flow.path, 'GET', { Accept, Cookie: 'oauth_x=canary-cookie-of-mine' });
    await stage.ask(flow.path.replace('state=', 'state=x'), 'GET', { Accept, ...flow.headers });
    await stage.ask(`${flow.path}&code=canary-code-of-mine`, 'GET', { Accept, ...flow.headers });
    await stage.ask(`${flow.path}&error=canary-error-of-mine`, 'GET', { Accept });
  }
  for (let time = 0; time < 2; time += 1) await stage.ask(flow.path, 'GET', flow.headers); // the second is a replay
  for (const name of ['code', 'cookie', 'error']) stage.canaries.add(`a stranger's ${name}`, `canary-${name}-of-mine`);
  const refused = await stage.consent('linked', '78');
  const withError = `${PREFIX}/callback?error=canary-error-of-mine&state=${new URLSearchParams(refused.path.split('?')[1]).get('state')}`;
  await stage.ask(withError, 'GET', refused.headers);
  stage.simulator.revokeGrant('77');
  await stage
    .knex('oauth_tokens')
    .where('organization_id', 'linked')
    .update({ access_token_expires_at: new Date(0) });
  for (let time = 0; time < 2; time += 1) await stage.ask('/v3/company/linked/query');
}

async function driveOutages(stage: LeakStage): Promise<void> {
  await stage.connect('broken', '88');
  await stage
    .knex('oauth_tokens')
    .where('organization_id', 'broken')
    .update({ access_token: 'canary-no-ciphertext' as never });
  await stage.ask('/v3/company/broken/query');
  const flow = await stage.consent('away', '89');
  stage.proxy.stop();
  for (const path of [`${PREFIX}/status/away`, '/v3/company/away/query', '/readyz']) await stage.ask(path);
  await stage.ask(flow.path, 'GET', flow.headers);
  await stage.ask(`${PREFIX}/disconnect/away`, 'POST');
  stage.proxy.resume();
  await stage.ask(flow.path, 'GET', flow.headers);
  stage.canaries.addFrom(stage.simulator, stage.realmIds);
  stage.keySet.answer = 'broken';
  await stage.ask(`${PREFIX}/status/acme`, 'GET', await stage.user({ jti: 'again' }));
}

/** Wrong credentials until they are too many. */
async function driveFlood(stage: LeakStage): Promise<void> {
  const flood = () => stage.ask(`${PREFIX}/status/acme`, 'GET', bearer(WRONG_KEY));
  while ((await flood()).status !== 429);
}
