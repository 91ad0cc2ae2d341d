import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { REALM, useSimulator } from '../simulator-client.ts';

const client = useSimulator();

describe('the simulator’s API', () => {
  it('returns the company of the token', async () => {
    const { access_token } = await client.connect();
    client.simulator.setCompany(REALM, 'Renamed');
    const response = await client.api(`companyinfo/${REALM}?minorversion=75`, access_token);
    expect(await response.json()).toMatchObject({ CompanyInfo: { CompanyName: 'Renamed', Id: '1' } });
    expect(client.simulator.callsTo('api')).toMatchObject([{ token: access_token, status: 200 }]);
  });

  it('returns 401 in JSON for a token that has expired', async () => {
    const { access_token, refresh_token } = await client.connect();
    client.simulator.expireAccessTokens(REALM);
    const response = await client.api('invoice/1', access_token);
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({
      fault: { error: [{ code: '3200', detail: `Token expired: ${access_token}` }], type: 'AUTHENTICATION' },
    });
    expect(await client.isRejected(refresh_token)).toBe(false);
    expect((await client.api('invoice/1', 'unknown')).status).toBe(401);
  });

  it('lets access tokens expire by its clock', async () => {
    const { access_token } = await client.connect();
    client.clock.advance(3_600_000);
    expect(await client.companyStatus(access_token)).toBe(401);
    expect(client.simulator.grantFor(REALM)?.accessTokens).toEqual([]);
  });

  it('returns 401 in XML for another company’s token, and 403 for a company of the other environment', async () => {
    const { access_token } = await client.connect();
    const foreign = await client.api('companyinfo/7', access_token, { realmId: '7' });
    client.simulator.setCompany(REALM, undefined);
    const elsewhere = await client.api('companyinfo/1', access_token);

    expect(foreign.status).toBe(401);
    expect(foreign.headers.get('content-type')).toBe('text/xml');
    expect(await foreign.text()).toMatch(/type="AuthenticationFault">\s*<Error code="100">/);
    expect(elsewhere.status).toBe(403);
    expect(await elsewhere.json()).toMatchObject({ fault: { error: [{ code: '3100' }] } });
  });

  it('has three invoices, and stores those that are added', async () => {
    const { access_token } = await client.connect();
    const post = async (body: object | string) =>
      client.api('invoice', access_token, {
        method: 'POST',
        body: typeof body === 'string' ? body : JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
      });

    expect(await (await post({ DocNumber: 'A1' })).json()).toMatchObject({ Invoice: { Id: '4', SyncToken: '0' } });
    expect(await (await post({ Id: '4', DocNumber: 'A2' })).json()).toMatchObject({ Invoice: { SyncToken: '1' } });
    const invoice = await client.api('invoice/4', access_token);
    expect(await invoice.json()).toMatchObject({ Invoice: { DocNumber: 'A2' } });
    expect((await client.api('invoice/5', access_token)).status).toBe(400);
    expect((await post('text')).status).toBe(400);

    const select = await client.api(`query?query=${encodeURIComponent('select * from invoice')}`, access_token);
    expect(await select.json()).toMatchObject({
      QueryResponse: { Invoice: ['1001', '1002', '1003', 'A2'].map((DocNumber) => ({ DocNumber })), maxResults: 4 },
    });
    const posted = {
      method: 'POST',
      body: 'SELECT COUNT(*) FROM Invoice',
      headers: { 'content-type': 'application/text' },
    };
    const count = await client.api('query', access_token, posted);
    expect(await count.json()).toMatchObject({ QueryResponse: { totalCount: 4 } });
  });

  it('returns other queries and reports, and 400 for what it does not support', async () => {
    const { access_token } = await client.connect();
    const read = async (resource: string) => (await client.api(resource, access_token)).json();

    expect(await read('query?query=select * from CompanyInfo')).toMatchObject({
      QueryResponse: { CompanyInfo: [{ CompanyName: 'Sandbox Company_US_1' }] },
    });
    expect(await read('query?query=select * from Bill')).toMatchObject({ QueryResponse: {} });
    expect(await read('reports/BalanceSheet')).toMatchObject({ Header: { ReportName: 'BalanceSheet' } });
    expect((await client.api('query?query=drop', access_token)).status).toBe(400);
    expect((await client.api('teapot', access_token)).status).toBe(400);
  });

  it.each([11, 12, 64 * 1024 + 11, 1_000_000])('streams %i bytes of JSON', async (bytes) => {
    const { access_token } = await client.connect();
    const text = await (await client.api(`bulk?bytes=${bytes}`, access_token)).text();
    expect(text).toHaveLength(bytes);
    expect(JSON.parse(text)).toEqual({ bulk: 'x'.repeat(bytes - 11) });
  });

  it('returns the request that it received, byte for byte', async () => {
    const { access_token } = await client.connect();
    const body = Buffer.from([0, 255, 1, 128]);
    const headers = { 'content-type': 'application/octet-stream', 'content-encoding': 'gzip' };
    const response = await client.api('echo/a%2Fb?x=1&x=2', access_token, { method: 'POST', body, headers });
    expect(await response.json()).toMatchObject({
      method: 'POST',
      url: `/v3/company/${REALM}/echo/a%2Fb?x=1&x=2`,
      headers,
      bodyLength: 4,
      bodySha256: createHash('sha256').update(body).digest('hex'),
    });
  });

  it.each(['echo?gzip=1', 'bulk?bytes=100000&gzip=1'])('compresses the response to %s', async (resource) => {
    const { access_token } = await client.connect();
    const response = await client.api(resource, access_token);
    expect(response.headers.get('content-encoding')).toBe('gzip');
    expect(await response.json()).toBeTruthy();
  });
});
