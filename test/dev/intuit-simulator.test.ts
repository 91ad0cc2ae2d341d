import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Fault } from '../../dev/intuit-simulator/faults.ts';
import {
  type IntuitSimulator,
  type IntuitSimulatorOptions,
  startIntuitSimulator,
} from '../../dev/intuit-simulator/simulator.ts';

const redirectUri = 'http://localhost:8080/callback';
const realmId = '9341452000000001';
const basic = `Basic ${Buffer.from('simulator-client-id:simulator-client-secret').toString('base64')}`;

let clock: Date;
let intuit: IntuitSimulator;

beforeEach(async () => {
  clock = new Date('2026-02-10T14:00:00Z');
  intuit = await startIntuitSimulator({ now: () => clock });
});
afterEach(() => intuit.close());

describe('consent', () => {
  it('shows a page that names the app and the companies, and echoes nothing unescaped', async () => {
    intuit.setCompany('7', '<b>Tom & Jerry</b>');
    const page = await fetch(consentUrl({ state: '"><script>alert(1)</script>' }));
    const text = await page.text();

    expect(page.status).toBe(200);
    expect(page.headers.get('content-type')).toMatch(/^text\/html/);
    expect(text).toContain('Connect Octup to QuickBooks');
    expect(text).toContain('Craig&#39;s Design and Landscaping Services');
    expect(text).toContain('&lt;b&gt;Tom &amp; Jerry&lt;/b&gt;');
    expect(text).not.toMatch(/<script|<b>/);
  });

  it('leads back with code, state and realmId', async () => {
    const callback = new URL(await intuit.authorize(consentUrl(), { realmId: '7' }));

    expect(callback.origin + callback.pathname).toBe(redirectUri);
    expect(Object.fromEntries(callback.searchParams)).toEqual({
      code: expect.stringMatching(/^\w{40,512}$/),
      state: 'the-state',
      realmId: '7',
    });
  });

  it('leads back with access_denied and the state when the person says no', async () => {
    const callback = await intuit.authorize(consentUrl(), { consent: false });

    expect(callback).toBe(`${redirectUri}?error=access_denied&state=the-state`);
  });

  it.each([
    [{ client_id: 'another' }, 'client_id is not'],
    [{ response_type: 'token' }, 'response_type must be'],
    [{ redirect_uri: 'javascript:alert(1)' }, 'redirect_uri is not'],
    [{ redirect_uri: '' }, 'redirect_uri is missing'],
    [{ scope: 'everything' }, 'scope &quot;everything&quot; does not exist'],
    [{ state: '' }, 'state is missing'],
  ])('refuses %j', async (changes, problem) => {
    const page = await fetch(consentUrl(changes));

    expect(page.status).toBe(400);
    expect(await page.text()).toContain(problem);
    await expect(intuit.authorize(consentUrl(changes))).rejects.toThrow('400');
  });

  it('refuses a repeated parameter', async () => {
    const page = await fetch(`${consentUrl()}&state=another`);

    expect(page.status).toBe(400);
    expect(await page.text()).toContain('state is repeated');
  });

  it('takes only registered redirect URIs, when there are any', async () => {
    intuit.settings.redirectUris = [redirectUri];

    expect((await fetch(consentUrl())).status).toBe(200);
    expect((await fetch(consentUrl({ redirect_uri: `${redirectUri}/` }))).status).toBe(400);
  });
});

describe('code exchange', () => {
  it('answers tokens shaped like those of Intuit', async () => {
    const answer = await token({
      grant_type: 'authorization_code',
      code: newCode(),
      redirect_uri: redirectUri,
    });

    expect(answer.status).toBe(200);
    expect(answer.headers.get('intuit_tid')).toMatch(/^1-[0-9a-f]{8}-[0-9a-f]{24}$/);
    expect(answer.headers.get('cache-control')).toContain('no-store');
    expect(answer.body).toEqual({
      token_type: 'bearer',
      access_token: expect.stringMatching(/^eyJ[\w-]{700,4000}$/),
      expires_in: 3600,
      refresh_token: expect.stringMatching(/^AB11\d{10}\w{36}$/),
      x_refresh_token_expires_in: 8_726_400,
    });
  });

  it('tells the seconds left since the consent when asked to', async () => {
    const { refresh_token } = await connect();
    clock = new Date(clock.getTime() + 1000_000);
    const fields = { grant_type: 'refresh_token', refresh_token };
    const answer = await token(fields, { 'x-include-refresh-token-hard-expires-in': 'true' });

    expect(answer.body['x_refresh_token_hard_expires_in']).toBe(157_680_000 - 1000);
  });

  it('takes a code once: a second exchange ends what the first gave', async () => {
    const exchange = { grant_type: 'authorization_code', code: newCode(), redirect_uri: redirectUri };
    const first = await token(exchange);
    const second = await token(exchange);

    expect(second).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    expect(await refused(String(first.body['refresh_token']))).toBe(true);
    expect(await companyStatus(String(first.body['access_token']))).toBe(401);
  });

  it('refuses a code that is unknown, too old, or came by another redirect URI', async () => {
    const exchange = { grant_type: 'authorization_code', redirect_uri: redirectUri };
    const code = newCode();

    expect((await token({ ...exchange, code: 'unknown' })).body).toEqual({ error: 'invalid_grant' });
    expect((await token({ ...exchange, code, redirect_uri: 'http://other' })).body).toEqual({
      error: 'invalid_grant',
    });
    clock = new Date(clock.getTime() + 10 * 60_000);
    expect((await token({ ...exchange, code })).body).toEqual({ error: 'invalid_grant' });
  });

  it.each([
    {},
    { grant_type: 'password' },
    { grant_type: 'refresh_token' },
    { grant_type: 'authorization_code', code: 'x' },
  ])('calls %j an invalid request', async (fields) => {
    expect(await token(fields)).toMatchObject({ status: 400, body: { error: 'invalid_request' } });
  });

  it('knows its client', async () => {
    const answer = await token({}, { authorization: `Basic ${btoa('simulator-client-id:wrong')}` });

    expect(answer).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
  });
});

describe('refresh', () => {
  it('rotates the refresh token; older access tokens live on', async () => {
    const first = await connect();
    const second = await refresh(first.refresh_token);

    expect(second.refresh_token).not.toBe(first.refresh_token);
    expect(await companyStatus(first.access_token)).toBe(200);
    expect(await companyStatus(second.access_token)).toBe(200);
    expect(intuit.grantFor(realmId)).toEqual({
      accessTokens: [first.access_token, second.access_token],
      refreshToken: second.refresh_token,
      revoked: false,
    });
  });

  it('ends the family when a spent refresh token comes again', async () => {
    const first = await connect();
    const second = await refresh(first.refresh_token);

    expect(await refused(first.refresh_token)).toBe(true);
    expect(await refused(second.refresh_token)).toBe(true);
    expect(await companyStatus(second.access_token)).toBe(401);
  });

  it('refuses it alone where reuse ends nothing', async () => {
    intuit.settings.reuseRevokesFamily = false;
    const first = await connect();
    const second = await refresh(first.refresh_token);

    expect(await refused(first.refresh_token)).toBe(true);
    expect(await refused(second.refresh_token)).toBe(false);
  });

  it('answers the newest refresh token to the one before it, where there is grace', async () => {
    intuit.settings.rotationGrace = true;
    const first = await connect();
    const second = await refresh(first.refresh_token);
    const again = await refresh(first.refresh_token);

    expect(again.refresh_token).toBe(second.refresh_token);
    expect(again.access_token).not.toBe(second.access_token);
    await refresh(second.refresh_token);
    expect(await refused(first.refresh_token)).toBe(true);
  });

  it('refuses a refresh token past its own end, or past the five years', async () => {
    intuit.settings.hardSeconds = 150;
    intuit.settings.refreshTokenSeconds = 100;
    const grants = await Promise.all([connect('1'), connect('2')]);

    clock = new Date(clock.getTime() + 99_000);
    const renewed = await refresh(grants[0].refresh_token);
    clock = new Date(clock.getTime() + 1000);
    expect(await refused(grants[1].refresh_token)).toBe(true);
    clock = new Date(clock.getTime() + 50_000);
    expect(await refused(renewed.refresh_token)).toBe(true);
  });
});

describe('several grants of one company', () => {
  it('live beside each other', async () => {
    const [older, newer] = [await connect(), await connect()];

    expect(await revoke(newer.refresh_token)).toBe(200);
    expect(await companyStatus(older.access_token)).toBe(200);
  });

  it('end with a new consent and with each other, where a company has one grant', async () => {
    intuit.settings.oneGrantPerCompany = true;
    const [older, newer, other] = [await connect(), await connect(), await connect('7')];

    expect(await companyStatus(older.access_token)).toBe(401);
    expect(await companyStatus(newer.access_token)).toBe(200);
    expect(await revoke(newer.access_token)).toBe(200);
    expect(await companyStatus(other.access_token, '7')).toBe(200);
  });
});

describe('revocation', () => {
  it.each(['access_token', 'refresh_token'] as const)('of the %s ends the family, once', async (name) => {
    const tokens = await connect();

    expect(await revoke(tokens[name])).toBe(200);
    expect(await revoke(tokens[name])).toBe(400);
    expect(await refused(tokens.refresh_token)).toBe(true);
    expect(await companyStatus(tokens.access_token)).toBe(401);
  });

  it('needs the client, and a token it knows', async () => {
    const { refresh_token } = await connect();

    expect(await revoke(refresh_token, 'Basic eDp5')).toBe(401);
    expect(await revoke('unknown')).toBe(400);
    const unreadable = await fetch(intuit.urls.revokeUrl, {
      method: 'POST',
      body: '{',
      headers: { authorization: basic },
    });
    expect(unreadable.status).toBe(400);
  });

  it('inside QuickBooks ends every grant of the company', async () => {
    const grants = [await connect(), await connect()];

    expect(intuit.revokeGrant(realmId)).toBe(true);
    expect(intuit.revokeGrant('none')).toBe(false);
    for (const { access_token, refresh_token } of grants) {
      expect(await companyStatus(access_token)).toBe(401);
      expect(await refused(refresh_token)).toBe(true);
    }
  });
});

describe('API', () => {
  it('tells the company of the token', async () => {
    const { access_token } = await connect();
    intuit.setCompany(realmId, 'Renamed');
    const answer = await api(`companyinfo/${realmId}?minorversion=75`, access_token);

    expect(await answer.json()).toMatchObject({ CompanyInfo: { CompanyName: 'Renamed', Id: '1' } });
    expect(intuit.callsTo('api')).toMatchObject([{ token: access_token, status: 200 }]);
  });

  it('answers 401 as JSON to a token that expired', async () => {
    const { access_token, refresh_token } = await connect();
    intuit.expireAccessTokens(realmId);
    const answer = await api('invoice/1', access_token);

    expect(answer.status).toBe(401);
    expect(await answer.json()).toMatchObject({
      fault: { error: [{ code: '3200', detail: `Token expired: ${access_token}` }], type: 'AUTHENTICATION' },
    });
    expect(await refused(refresh_token)).toBe(false);
    expect((await api('invoice/1', 'unknown')).status).toBe(401);
  });

  it('lets access tokens expire by the clock', async () => {
    const { access_token } = await connect();
    clock = new Date(clock.getTime() + 3600_000);

    expect(await companyStatus(access_token)).toBe(401);
    expect(intuit.grantFor(realmId)?.accessTokens).toEqual([]);
  });

  it("answers 401 as XML to another company's token, 403 in the wrong environment", async () => {
    const { access_token } = await connect();
    const foreign = await api('companyinfo/7', access_token, { realm: '7' });
    intuit.setCompany(realmId, undefined);
    const elsewhere = await api('companyinfo/1', access_token);

    expect(foreign.status).toBe(401);
    expect(foreign.headers.get('content-type')).toBe('text/xml');
    expect(await foreign.text()).toMatch(/type="AuthenticationFault">\s*<Error code="100">/);
    expect(elsewhere.status).toBe(403);
    expect(await elsewhere.json()).toMatchObject({ fault: { error: [{ code: '3100' }] } });
  });

  it('has a few invoices, and keeps those that are added', async () => {
    const { access_token } = await connect();
    const post = (body: object) =>
      api('invoice', access_token, {
        method: 'POST',
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
      });

    expect(await (await post({ DocNumber: 'A1' })).json()).toMatchObject({
      Invoice: { Id: '4', SyncToken: '0' },
    });
    expect(await (await post({ Id: '4', DocNumber: 'A2' })).json()).toMatchObject({
      Invoice: { SyncToken: '1' },
    });
    expect(await (await api('invoice/4', access_token)).json()).toMatchObject({
      Invoice: { DocNumber: 'A2' },
    });
    expect((await api('invoice/5', access_token)).status).toBe(400);
    expect((await api('invoice', access_token, { method: 'POST', body: 'text' })).status).toBe(400);

    const select = await api(`query?query=${encodeURIComponent('select * from invoice')}`, access_token);
    expect(await select.json()).toMatchObject({
      QueryResponse: {
        Invoice: ['1001', '1002', '1003', 'A2'].map((DocNumber) => ({ DocNumber })),
        maxResults: 4,
      },
    });
    const posted = {
      method: 'POST',
      body: 'SELECT COUNT(*) FROM Invoice',
      headers: { 'content-type': 'application/text' },
    };
    expect(await (await api('query', access_token, posted)).json()).toMatchObject({
      QueryResponse: { totalCount: 4 },
    });
  });

  it('answers queries on companies and on nothing, reports, and what it does not know', async () => {
    const { access_token } = await connect();
    const answers = ['query?query=select * from CompanyInfo', 'query?query=select * from Bill', 'reports/BalanceSheet'];
    const [company, bills, report] = await Promise.all(
      answers.map(async (resource) => (await api(resource, access_token)).json()),
    );

    expect(company).toMatchObject({
      QueryResponse: { CompanyInfo: [{ CompanyName: 'Sandbox Company_US_1' }] },
    });
    expect(bills).toMatchObject({ QueryResponse: {} });
    expect(report).toMatchObject({ Header: { ReportName: 'BalanceSheet' } });
    expect((await api('query?query=drop', access_token)).status).toBe(400);
    expect((await api('teapot', access_token)).status).toBe(400);
  });

  it.each([11, 12, 64 * 1024 + 11, 1_000_000])('streams %i bytes of JSON', async (bytes) => {
    const { access_token } = await connect();
    const text = await (await api(`bulk?bytes=${bytes}`, access_token)).text();

    expect(text).toHaveLength(bytes);
    expect(JSON.parse(text)).toEqual({ bulk: 'x'.repeat(bytes - 11) });
  });

  it('tells what arrived, byte for byte', async () => {
    const { access_token } = await connect();
    const body = Buffer.from([0, 255, 1, 128]);
    const headers = { 'content-type': 'application/octet-stream', 'content-encoding': 'gzip' };
    const answer = await api('echo/a%2Fb?x=1&x=2', access_token, { method: 'POST', body, headers });

    expect(await answer.json()).toMatchObject({
      method: 'POST',
      url: `/v3/company/${realmId}/echo/a%2Fb?x=1&x=2`,
      headers,
      bodyLength: 4,
      bodySha256: createHash('sha256').update(body).digest('hex'),
    });
  });

  it.each(['echo?gzip=1', 'bulk?bytes=100000&gzip=1'])('compresses %s', async (resource) => {
    const { access_token } = await connect();
    const answer = await api(resource, access_token);

    expect(answer.headers.get('content-encoding')).toBe('gzip');
    expect(await answer.json()).toBeTruthy();
  });
});

describe('faults', () => {
  it.each([
    [{ kind: 'status', status: 429, retryAfter: 60, body: { error: 'busy' } }, 429, '{"error":"busy"}'],
    [{ kind: 'status', body: '<p>no', contentType: 'text/html' }, 503, '<p>no'],
    [{ kind: 'html' }, 200, expect.stringContaining('<h1>')],
    [{ kind: 'empty' }, 200, ''],
    [{ kind: 'redirect', location: 'http://elsewhere/' }, 307, ''],
    [{ kind: 'invalid_client' }, 401, '{"error":"invalid_client"}'],
    [{ kind: 'invalid_grant' }, 400, '{"error":"invalid_grant"}'],
    [{ kind: 'invalid_request' }, 400, '{"error":"invalid_request"}'],
    [{ kind: 'json', body: { access_token: '' } }, 200, '{"access_token":""}'],
  ] satisfies [Omit<Fault, 'on'>, number, unknown][])(
    '%j stands in for the answer once',
    async (fault, status, text) => {
      const { refresh_token } = await connect();
      intuit.fail({ on: 'token', ...(fault as Omit<Fault, 'on'>) });
      const answer = await post({ grant_type: 'refresh_token', refresh_token });

      expect(answer.status).toBe(status);
      expect(answer.headers.get('intuit_tid')).toBeTruthy();
      expect(answer.headers.get('retry-after')).toBe('retryAfter' in fault ? '60' : null);
      expect(answer.headers.get('location')).toBe('location' in fault ? fault.location : null);
      expect(await answer.text()).toEqual(text);
      expect(await refused(refresh_token)).toBe(false);
    },
  );

  it.each([
    ['drop_before', false],
    ['hang', false],
    ['slow', false],
    ['drop_after', true],
    ['hang_after', true],
    ['slow_after', true],
    ['truncate', true],
  ] as const)('%s loses the answer; rotated: %s', async (kind, rotated) => {
    const { refresh_token } = await connect();
    intuit.fail({ on: 'token', kind, delayMs: 200 });
    const caller = new AbortController();
    const lost = post({ grant_type: 'refresh_token', refresh_token }, {}, caller.signal);
    const refusal = expect(lost.then((answer) => answer.text())).rejects.toThrow();
    await firstCall();
    if (!/drop|truncate/.test(kind)) caller.abort();

    await refusal;
    expect(intuit.grantFor(realmId)?.refreshToken !== refresh_token).toBe(rotated);
    expect(intuit.callsTo('token', 'refresh_token')).toMatchObject([{ token: refresh_token, fault: kind }]);
  });

  it.each(['slow', 'slow_after'] as const)('%s answers in the end', async (kind) => {
    intuit.fail({ on: 'token', kind, delayMs: 30 });

    expect((await connect()).access_token).toBeTruthy();
  });

  it.each(['empty-bodied revocation', 'stream'])('truncates: %s', async (which) => {
    const { access_token } = await connect();
    intuit.fail({ on: which === 'stream' ? 'api' : 'revoke', kind: 'truncate' });
    const answer = which === 'stream' ? await api('bulk?bytes=1000000', access_token) : await revokeCall(access_token);

    expect(answer.status).toBe(200);
    await expect(answer.text()).rejects.toThrow();
  });

  it('leaves out the refresh token and keeps the old one valid', async () => {
    const { refresh_token } = await connect();
    intuit.fail({ on: 'token', kind: 'omit_refresh_token' });
    const answer = await refresh(refresh_token);

    expect(answer).not.toHaveProperty('refresh_token');
    expect(await companyStatus(answer.access_token)).toBe(200);
    expect(await refused(refresh_token)).toBe(false);
  });

  it('tells numbers as strings', async () => {
    intuit.fail({ on: 'token', kind: 'strings' });

    expect(await connect()).toMatchObject({ expires_in: '3600', x_refresh_token_expires_in: '8726400' });
  });

  it('meets the calls it is meant for, as often as told', async () => {
    intuit.fail({ on: 'token', grantType: 'refresh_token', kind: 'status', times: Number.POSITIVE_INFINITY });
    intuit.fail({ on: 'companyinfo', kind: 'status', status: 500, times: 2 });
    const { access_token, refresh_token } = await connect();

    const companies = [1, 2, 3].map(() => companyStatus(access_token));
    expect((await Promise.all(companies)).sort()).toEqual([200, 500, 500]);
    expect((await api('echo', access_token)).status).toBe(200);
    for (const _ of [1, 2, 3]) expect((await post({ grant_type: 'refresh_token', refresh_token })).status).toBe(503);
    intuit.clearFaults();
    expect(await refused(refresh_token)).toBe(false);
  });

  it('does not know others', () => {
    expect(() => intuit.fail({ on: 'token', kind: 'typo' as 'slow' })).toThrow(TypeError);
    expect(() => intuit.fail({ on: 'tokens' as 'token', kind: 'slow' })).toThrow(TypeError);
  });
});

describe('calls', () => {
  it('are recorded with what they carried', async () => {
    const code = newCode();
    const answer = await token({ grant_type: 'authorization_code', code, redirect_uri: redirectUri });
    await revoke('some-token');

    expect(intuit.calls).toMatchObject([
      {
        endpoint: 'token',
        method: 'POST',
        path: '/oauth2/v1/tokens/bearer',
        headers: { authorization: basic },
        body: { grant_type: 'authorization_code', code, redirect_uri: redirectUri },
        grantType: 'authorization_code',
        status: 200,
        intuitTid: answer.headers.get('intuit_tid'),
        at: clock,
      },
      { endpoint: 'revoke', body: { token: 'some-token' }, token: 'some-token', status: 400 },
    ]);
    intuit.resetCalls();
    expect(intuit.calls).toEqual([]);
  });

  it('and faults can be reached by HTTP', async () => {
    const control = (method: string, path: string, body?: object) =>
      fetch(`${intuit.origin}/simulator/${path}`, body ? { method, body: JSON.stringify(body) } : { method });
    const { access_token } = await connect();

    expect((await control('POST', 'faults', { on: 'api', kind: 'status', status: 504, times: null })).status).toBe(204);
    expect(await companyStatus(access_token)).toBe(504);
    expect(await companyStatus(access_token)).toBe(504);
    expect((await control('DELETE', 'faults')).status).toBe(204);
    expect(await companyStatus(access_token)).toBe(200);
    expect((await control('POST', 'faults', { on: 'api' })).status).toBe(400);
    expect((await control('POST', 'faults')).status).toBe(400);

    expect(await (await control('GET', 'calls')).json()).toHaveLength(3);
    expect((await control('DELETE', 'calls')).status).toBe(204);
    expect(intuit.calls).toEqual([]);

    expect((await control('POST', `revoke/${realmId}`)).status).toBe(204);
    expect((await control('POST', 'revoke/unknown')).status).toBe(404);
    expect(await companyStatus(access_token)).toBe(401);
  });
});

describe('start and end', () => {
  it('keeps its grants in a file', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'simulator-'));
    const file = join(directory, 'data', 'intuit.json');
    await restart({ file });
    const first = await connect();
    const second = await refresh(first.refresh_token);
    await restart({ file });

    expect(existsSync(file)).toBe(true);
    expect(await companyStatus(second.access_token)).toBe(200);
    const third = await refresh(second.refresh_token);
    await restart({ file });
    expect(await refused(first.refresh_token)).toBe(true);
    expect(await refused(third.refresh_token)).toBe(true);
    rmSync(directory, { recursive: true });
  });

  it('fails when the port is taken', async () => {
    const port = Number(new URL(intuit.origin).port);

    await expect(startIntuitSimulator({ port })).rejects.toThrow('EADDRINUSE');
  });

  it('is reached where it is told to be', async () => {
    await restart({ publicOrigin: 'http://intuit.test' });

    expect(intuit.urls).toEqual({
      authorizeUrl: 'http://intuit.test/connect/oauth2',
      tokenUrl: 'http://intuit.test/oauth2/v1/tokens/bearer',
      revokeUrl: 'http://intuit.test/v2/oauth2/tokens/revoke',
      apiBaseUrl: 'http://intuit.test',
    });
  });

  it('ends at once, whatever still hangs, and may be ended twice', async () => {
    intuit.fail({ on: 'token', kind: 'hang' });
    const hanging = expect(post({})).rejects.toThrow();
    await firstCall();
    await intuit.close();
    await intuit.close();
    await hanging;
  });
});

interface Tokens {
  access_token: string;
  refresh_token: string;
}

async function restart(options: IntuitSimulatorOptions): Promise<void> {
  await intuit.close();
  intuit = await startIntuitSimulator({ now: () => clock, ...options });
}

function consentUrl(changes: Record<string, string> = {}): string {
  const parameters = {
    client_id: 'simulator-client-id',
    response_type: 'code',
    scope: 'com.intuit.quickbooks.accounting',
    redirect_uri: redirectUri,
    state: 'the-state',
    ...changes,
  };
  return `${intuit.urls.authorizeUrl}?${new URLSearchParams(parameters)}`;
}

async function firstCall(): Promise<void> {
  while (intuit.calls.length === 0) await new Promise(setImmediate);
}

function newCode(realm = realmId): string {
  return intuit.issueCode({ realmId: realm, redirectUri });
}

async function connect(realm = realmId): Promise<Tokens> {
  const answer = await token({
    grant_type: 'authorization_code',
    code: newCode(realm),
    redirect_uri: redirectUri,
  });
  intuit.resetCalls();
  return answer.body as unknown as Tokens;
}

async function refresh(refreshToken: string): Promise<Tokens> {
  const answer = await token({ grant_type: 'refresh_token', refresh_token: refreshToken });
  expect(answer.status).toBe(200);
  return answer.body as unknown as Tokens;
}

async function refused(refreshToken: string): Promise<boolean> {
  const { status, body } = await token({ grant_type: 'refresh_token', refresh_token: refreshToken });
  return status === 400 && body['error'] === 'invalid_grant';
}

function post(fields: Record<string, string>, headers: Record<string, string> = {}, signal?: AbortSignal) {
  return fetch(intuit.urls.tokenUrl, {
    method: 'POST',
    headers: { authorization: basic, ...headers },
    body: new URLSearchParams(fields),
    redirect: 'manual',
    signal: signal ?? null,
  });
}

async function token(fields: Record<string, string>, headers: Record<string, string> = {}) {
  const answer = await post(fields, headers);
  return {
    status: answer.status,
    headers: answer.headers,
    body: (await answer.json()) as Record<string, string | number>,
  };
}

function revokeCall(value: string, authorization = basic) {
  return fetch(intuit.urls.revokeUrl, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify({ token: value }),
  });
}

async function revoke(value: string, authorization = basic): Promise<number> {
  const answer = await revokeCall(value, authorization);
  await answer.text();
  return answer.status;
}

function api(
  resource: string,
  accessToken: string,
  { realm = realmId, ...init }: RequestInit & { realm?: string } = {},
) {
  const headers = { ...(init.headers as Record<string, string>), authorization: `Bearer ${accessToken}` };
  return fetch(`${intuit.urls.apiBaseUrl}/v3/company/${realm}/${resource}`, { ...init, headers });
}

async function companyStatus(accessToken: string, realm = realmId): Promise<number> {
  const answer = await api(`companyinfo/${realm}`, accessToken, { realm });
  await answer.text();
  return answer.status;
}
