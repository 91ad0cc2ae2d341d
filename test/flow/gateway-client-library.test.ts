import { createRequire } from 'node:module';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { createSqlite } from '../support/databases.ts';
import { useHarness } from '../support/harness.ts';
import { itKeptSecrets } from '../support/secrets.ts';

const COMPANY = '9341452000000001';

// The package is CommonJS without types. Only what is used here is declared.
type Callback = (error: unknown, result: Record<string, unknown>) => void;
interface Client {
  endpoint: string;
  getCompanyInfo(id: string, callback: Callback): void;
  createInvoice(invoice: object, callback: Callback): void;
  getInvoice(id: string, callback: Callback): void;
  findInvoices(criteria: object, callback: Callback): void;
  reportProfitAndLoss(options: object, callback: Callback): void;
}
const QuickBooks = createRequire(import.meta.url)('node-quickbooks') as new (...settings: unknown[]) => Client;

describe('QuickBooks’ own client library', () => {
  const harness = useHarness(createSqlite);
  let qbo: Client;
  beforeAll(async () => {
    await harness.connect('acme', COMPANY);
    qbo = new QuickBooks('', '', 'an-api-key', false, 'acme', false, false, 75, '2.0');
    qbo.endpoint = `${harness.service.origin}/v3/company/`;
  });

  it('reads the company', async () => {
    expect(await request((done) => qbo.getCompanyInfo('1', done))).toMatchObject({
      CompanyName: 'Sandbox Company_US_1',
    });
  });

  it('creates an invoice, and finds it again', async () => {
    const invoice = { Line: [{ Amount: 100, Description: "O'Brien & Söhne" }], CustomerRef: { value: '1' } };
    const { Id } = (await request((done) => qbo.createInvoice(invoice, done))) as { Id: string };
    expect(await request((done) => qbo.getInvoice(Id, done))).toMatchObject(invoice);
    const found = await request((done) => qbo.findInvoices({ CustomerName: "O'Brien", limit: 5 }, done));
    expect(found).toMatchObject({
      QueryResponse: { Invoice: expect.arrayContaining([expect.objectContaining({ Id, ...invoice })]) },
    });
  });

  it('reads a report', async () => {
    const report = await request((done) => qbo.reportProfitAndLoss({ start_date: '2026-01-01' }, done));
    expect(report).toMatchObject({ Header: { ReportName: 'ProfitAndLoss' } });
  });

  it('works after the token has expired, since the service refreshes it', async () => {
    await harness.expire('acme');
    expect(await request((done) => qbo.getCompanyInfo('1', done))).toMatchObject({
      CompanyName: 'Sandbox Company_US_1',
    });
    const tokens = harness.simulator.callsTo('api').map(({ token }) => token);
    expect(tokens).toEqual([harness.simulator.grantFor(COMPANY)?.accessTokens.at(-1)]);
  });

  itKeptSecrets(harness);
});

async function request(send: (callback: Callback) => void): Promise<unknown> {
  return new Promise((resolve, reject) => send((error, result) => (error ? reject(error) : resolve(result))));
}
