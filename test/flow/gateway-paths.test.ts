import { beforeAll, describe, expect, it } from '@jest/globals';
import { createSqlite } from '../support/databases.ts';
import { sendRaw } from '../support/gateway.ts';
import { useHarness } from '../support/harness.ts';
import { itKeptSecrets } from '../support/secrets.ts';

describe('the gateway', () => {
  const harness = useHarness(createSqlite);
  beforeAll(async () => {
    await harness.connect('org', '1');
    await harness.connect('2', '2');
  });

  it.each(['invoice/1', 'query?query=select%20*%20from%20Item', 'reports/ProfitAndLoss', 'invoice/12/pdf'])(
    'forwards a path below the company: %s',
    async (resource) => {
      expect(await get(`/v3/company/org/${resource}`)).not.toContain('problem+json');
      expect(harness.simulator.callsTo('api')).toMatchObject([{ url: `/v3/company/1/${resource}` }]);
    },
  );

  it.each([
    '/v3/company/org/../2/invoice/1',
    '/v3/company/org/invoice/../../2/invoice/1',
    '/v3/company/org/./invoice/1',
    '/v3/company/org/%2e%2e/2/invoice/1',
    '/v3/company/org/.%2E/2/invoice/1',
    '/v3/company/org/..%2f2%2finvoice/1',
    '/v3/company/org/invoice%2F1',
    '/v3/company/org/..%5c2/invoice/1',
    '/v3/company/org/..\\2\\invoice/1',
    '/v3/company/org//evil.example/invoice/1',
    '/v3/company/org/invoice//1',
    '/v3/company/org/%00',
    '/v3/company/org/invoice/1%0d%0aX-Evil:%201',
    '/v3/company/org/%252e%252e/2/invoice/1',
    '/v3/company/org/%c0%ae%c0%ae/2/invoice/1',
    '/v3/company/org/invoice/\xe9',
    '/v3/company/org/invoice/\xc3\xa9?a=\xc3\xa9',
    '/v3/company/org/invoice/%zz',
    '/v3/company/org/invoice/1\x01',
    '/v3/company/org/..;/2/invoice/1',
    '/v3/company/%2e%2e/2/invoice/1',
    '/v3/company/../company/2/invoice/1',
    '/v3/company/o%2frg/invoice/1',
    '/v3/company/org%00/invoice/1',
    '/api/v1/quickbooks/org/http://evil.example/',
    'http://evil.example/v3/company/org/invoice/1',
    'http://evil.example/api/v1/quickbooks/2/../org/invoice/1',
  ])('returns 400 without a call to QuickBooks for a path that could mean something else: %j', async (path) => {
    expect((await get(path)).slice(0, 13)).toBe('HTTP/1.1 400 ');
    expect(harness.simulator.calls).toEqual([]);
  });

  it.each([
    '//evil.example/v3/company/org/invoice/1',
    '/v3/company//evil.example/invoice/1',
    '/v3/company/org',
    '/v3/company/org/',
  ])('returns 400 or 404 without a call to QuickBooks for a path that names no resource: %s', async (path) => {
    expect((await get(path)).slice(0, 12)).toMatch(/HTTP\/1\.1 40[04]/);
    expect(harness.simulator.calls).toEqual([]);
  });

  itKeptSecrets(harness);

  async function get(target: string): Promise<string> {
    return sendRaw(harness.service.origin, `GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
  }
});
