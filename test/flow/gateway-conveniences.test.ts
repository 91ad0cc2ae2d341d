import { describe, expect, it } from '@jest/globals';
import { createSqlite } from '../support/databases.ts';
import { call, callAtOnce, expectOwnError } from '../support/gateway.ts';
import { useHarness } from '../support/harness.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { status } from '../support/service.ts';

const POST = { method: 'POST', body: '{}' };

describe('the gateway', () => {
  const harness = useHarness(createSqlite, { isolated: true });

  it.each([
    ['companyinfo/acme', 'companyinfo/77'],
    ['CompanyInfo/acme?minorversion=75', 'CompanyInfo/77?minorversion=75'],
    ['companyinfo/other', 'companyinfo/other'],
    ['companyinfo/acme/more', 'companyinfo/acme/more'],
    ['invoice/acme', 'invoice/acme'],
  ])('maps the organization to the company only where QuickBooks’ libraries repeat it: %s', async (resource, sent) => {
    await harness.connect('acme', '77');
    await call(harness.service, 'acme', resource);
    expect(urls()).toEqual([`/v3/company/77/${sent}`]);
  });

  it.each([
    ['invoice', 'a-key', 'invoice?requestid=a-key'],
    ['invoice?minorversion=75', 'a key & more', 'invoice?minorversion=75&requestid=a%20key%20%26%20more'],
    ['invoice?requestid=own', 'a-key', 'invoice?requestid=own'],
    ['invoice?RequestId=own', 'a-key', 'invoice?RequestId=own'],
    ['invoice?x=requestid', '~'.repeat(50), `invoice?x=requestid&requestid=${'~'.repeat(50)}`],
  ])('sends Idempotency-Key as requestid, unless the query has one: %s', async (resource, key, sent) => {
    await harness.connect('acme', '77');
    await call(harness.service, 'acme', resource, { ...POST, headers: { 'Idempotency-Key': key } });
    expect(urls()).toEqual([`/v3/company/77/${sent}`]);
  });

  it('ignores Idempotency-Key for a GET', async () => {
    await harness.connect('acme', '77');
    await call(harness.service, 'acme', 'invoice/1', { headers: { 'Idempotency-Key': 'a-key' } });
    expect(urls()).toEqual(['/v3/company/77/invoice/1']);
  });

  it.each([
    ['longer than 50 characters', 'x'.repeat(51)],
    ['empty', ''],
    ['not printable', 'é'],
  ])('rejects an Idempotency-Key that is %s, without a call', async (_, key) => {
    await harness.connect('acme', '77');
    const response = await call(harness.service, 'acme', 'invoice', { ...POST, headers: { 'Idempotency-Key': key } });
    const { detail } = (await response.clone().json()) as { detail: string };
    expect(detail).toContain('Idempotency-Key');
    await expectOwnError(response, 400, 'invalid_request');
    expect(urls()).toEqual([]);
  });

  it.each([
    ['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', '0af7651916cd43dd8448eb211c80319c'],
    ['01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-future', '0af7651916cd43dd8448eb211c80319c'],
    ['00-00000000000000000000000000000000-b7ad6b7169203331-01', undefined],
    ['ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', undefined],
    ['canary', undefined],
  ])('logs the trace ID of traceparent %s', async (traceparent, traceId) => {
    const before = harness.logs.length;
    await call(harness.service, 'unconnected', 'invoice/1', { headers: { traceparent } });
    const line = harness.logs.slice(before).find((each) => each.includes('"route"')) ?? '{}';
    expect(JSON.parse(line).trace_id).toBe(traceId);
    expect(line).not.toContain('canary');
  });

  it('proves an unproven connection before its first use, once for all callers', async () => {
    await connectUnproven();
    expect(await callAtOnce(harness.service, 'acme', 5)).toEqual(Array(5).fill(200));
    expect(urls().filter((url) => url.includes('companyinfo/77'))).toHaveLength(1);
    expect(await status(harness.service, 'acme')).toMatchObject({
      company_name: 'Sandbox Company 77',
      last_verified_at: expect.any(String),
    });
    harness.simulator.resetCalls();
    await call(harness.service, 'acme', 'invoice/1');
    expect(urls()).toEqual(['/v3/company/77/invoice/1']);
  });

  it('ends an unproven connection at its first use if QuickBooks denies the company, and forwards nothing', async () => {
    await connectUnproven();
    harness.simulator.setCompany('77', undefined);
    await expectOwnError(await call(harness.service, 'acme', 'invoice', POST), 404, 'connection_not_found');
    harness.simulator.setCompany('77', 'Sandbox Company 77');
    expect(urls()).toEqual([expect.stringContaining('/companyinfo/77')]);
    expect(await harness.eventTypes('acme')).toEqual(['connected', 'company_mismatch']);
    expect(await status(harness.service, 'acme')).toMatchObject({ connected: false, needs_reauthorization: false });
    expect(harness.revocations()).toBe(0);
  });

  it('proves an unproven connection whose access token is rejected with a refreshed one', async () => {
    await connectUnproven();
    harness.simulator.expireAccessTokens('77');
    expect((await call(harness.service, 'acme', 'invoice/1')).status).toBe(200);
    expect(harness.refreshes()).toBe(1);
    expect(await status(harness.service, 'acme')).toMatchObject({ last_verified_at: expect.any(String) });
  });

  it('ends an unproven connection if QuickBooks rejects the refreshed access token as well', async () => {
    await connectUnproven();
    harness.simulator.fail({ on: 'companyinfo', kind: 'status', status: 401, times: null });
    await expectOwnError(await call(harness.service, 'acme', 'invoice/1'), 404, 'connection_not_found');
    harness.simulator.clearFaults();
    expect(harness.refreshes()).toBe(1);
    expect((await harness.eventTypes('acme')).at(-1)).toBe('company_mismatch');
  });

  it('returns 503 for an unproven connection while QuickBooks cannot confirm the company, and keeps it', async () => {
    await connectUnproven();
    harness.simulator.fail({ on: 'companyinfo', kind: 'status', status: 503 });
    await expectOwnError(await call(harness.service, 'acme', 'invoice/1'), 503, 'provider_unavailable');
    expect((await call(harness.service, 'acme', 'invoice/1')).status).not.toBe(503);
    expect(await harness.activeRows('acme')).toHaveLength(1);
  });

  itKeptSecrets(harness);

  async function connectUnproven(): Promise<void> {
    harness.simulator.fail({ on: 'companyinfo', kind: 'status', status: 503 });
    await harness.connect('acme', '77');
    harness.simulator.clearFaults();
  }

  function urls(): string[] {
    return harness.simulator.callsTo('api').map(({ url }) => url);
  }
});
