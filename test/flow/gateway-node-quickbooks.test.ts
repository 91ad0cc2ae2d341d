import { createRequire } from 'node:module';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { createSqlite } from '../support/databases.ts';
import { expire } from '../support/gateway.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { connect } from '../support/service.ts';
import { useStage } from '../support/stage.ts';

// The package is CommonJS without types; of it only what is used here is told.
type Callback = (error: unknown, answer: Record<string, unknown>) => void;
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
  const stage = useStage(createSqlite);
  let qbo: Client;
  beforeAll(async () => {
    await connect(stage.service, stage.simulator, 'acme', { realmId: '9341452000000001' });
    qbo = new QuickBooks('', '', 'an-api-key', false, 'acme', false, false, 75, '2.0');
    qbo.endpoint = `${stage.service.origin}/v3/company/`;
  });

  it('reads the company', async () => {
    expect(await ask((done) => qbo.getCompanyInfo('1', done))).toMatchObject({ CompanyName: 'Sandbox Company_US_1' });
  });

  it('creates an invoice, and finds it again', async () => {
    const invoice = { Line: [{ Amount: 100, Description: "O'Brien & Söhne" }], CustomerRef: { value: '1' } };
    const { Id } = (await ask((done) => qbo.createInvoice(invoice, done))) as { Id: string };
    expect(await ask((done) => qbo.getInvoice(Id, done))).toMatchObject(invoice);
    const found = await ask((done) => qbo.findInvoices({ CustomerName: "O'Brien", limit: 5 }, done));
    expect(found).toMatchObject({
      QueryResponse: { Invoice: expect.arrayContaining([expect.objectContaining({ Id, ...invoice })]) },
    });
  });

  it('reads a report', async () => {
    const report = await ask((done) => qbo.reportProfitAndLoss({ start_date: '2026-01-01' }, done));
    expect(report).toMatchObject({ Header: { ReportName: 'ProfitAndLoss' } });
  });

  it('goes on when the token expired, and never sees one', async () => {
    await expire(stage, 'acme');
    expect(await ask((done) => qbo.getCompanyInfo('1', done))).toMatchObject({ CompanyName: 'Sandbox Company_US_1' });
    const tokens = stage.simulator.callsTo('api').map(({ token }) => token);
    expect(tokens).toEqual([stage.simulator.grantFor('9341452000000001')?.accessTokens.at(-1)]);
  });

  itKeptSecrets(stage);
});

async function ask(question: (callback: Callback) => void): Promise<unknown> {
  return new Promise((resolve, reject) => question((error, answer) => (error ? reject(error) : resolve(answer))));
}
