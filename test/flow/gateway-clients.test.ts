import { randomBytes } from 'node:crypto';
import { createReadStream, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createSqlite } from '../support/databases.ts';
import { call } from '../support/gateway.ts';
import { useHarness } from '../support/harness.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { until } from '../support/until.ts';

const COMPANY = '9341452000000001';
const API_KEY = 'billing-key-0123456789-0123456789-abcdef';
const MIB = 1024 * 1024;

// The packages are CommonJS. Only what is used here is declared.
type Callback = (error: unknown, result: unknown) => void;
interface NodeQuickBooks {
  endpoint: string;
  getCompanyInfo(id: string, callback: Callback): void;
  createInvoice(invoice: object, callback: Callback): void;
  getInvoicePdf(id: string, callback: Callback): void;
  findInvoices(criteria: object, callback: Callback): void;
  upload(name: string, type: string, file: NodeJS.ReadableStream, callback: Callback): void;
  batch(items: object[], callback: Callback): void;
  reportGeneralLedgerDetail(options: object, callback: Callback): void;
}
interface IntuitOAuth {
  makeApiCall(request: object): Promise<{ json: unknown; response: { status: number } }>;
}
const load = createRequire(import.meta.url);
const QuickBooks = load('node-quickbooks') as new (...settings: unknown[]) => NodeQuickBooks;
const OAuthClient = load('intuit-oauth') as new (settings: object) => IntuitOAuth;

/** The README's code for these libraries. */
const README = [...readFileSync('README.md', 'utf8').matchAll(/```js\n([\s\S]*?)```/g)]
  .map(([, code = '']) => code)
  .filter((code) => /new (QuickBooks|OAuthClient)\(/.test(code))
  .join('');
const AsyncFunction = (async () => undefined).constructor as new (
  ...texts: string[]
) => (...values: unknown[]) => Promise<void>;

describe('with an API key as its access token', () => {
  const harness = useHarness(createSqlite, { env: { API_KEYS: `billing:${API_KEY}`, AUTH_DISABLED: 'false' } });
  let folder: string;
  beforeAll(async () => {
    await harness.connect('acme', COMPANY);
    folder = await mkdtemp(join(tmpdir(), 'clients-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  describe('node-quickbooks', () => {
    it('creates an invoice once if it repeats the call with the same requestId, and finds it', async () => {
      const invoice = { Line: [{ Amount: 100 }], CustomerRef: { value: '1' }, DocNumber: 'NQ-1' };
      const create = () => request((done) => client().createInvoice({ ...invoice, requestId: 'once' }, done));
      const created = await create();
      expect(created).toMatchObject(invoice);
      expect(await create()).toEqual(created);
      const found = (await request((done) => client().findInvoices({}, done))) as {
        QueryResponse: { Invoice: { DocNumber: string }[] };
      };
      expect(found.QueryResponse.Invoice.filter(({ DocNumber }) => DocNumber === 'NQ-1')).toHaveLength(1);
    });

    it('reads the company by the organization, which stands for the company ID', async () => {
      const company = await request((done) => client().getCompanyInfo('acme', done));
      expect(company).toMatchObject({ CompanyName: 'Sandbox Company_US_1' });
    });

    it('uploads a file of 3 MiB', async () => {
      const file = join(folder, 'receipt.png');
      await writeFile(file, randomBytes(3 * MIB));
      const upload = (done: Callback) => client().upload('receipt.png', 'image/png', createReadStream(file), done);
      expect(await request(upload)).toMatchObject({ FileName: 'receipt.png', ContentType: 'image/png', Size: 3 * MIB });
    });

    it('reads an invoice as PDF', async () => {
      const pdf = (await request((done) => client().getInvoicePdf('1', done))) as Buffer;
      expect(pdf.subarray(0, 8).toString()).toBe('%PDF-1.4');
    });

    it('sends a batch of 30, in which one item is rejected, and gets the fault of a batch that is larger', async () => {
      const queries = Array.from({ length: 29 }, (_, index) => ({ bId: `${index}`, Query: 'select * from Invoice' }));
      const items = [...queries, { bId: 'rejected', operation: 'create', Teapot: {} }];
      const { BatchItemResponse } = (await request((done) => client().batch(items, done))) as {
        BatchItemResponse: object[];
      };
      expect(BatchItemResponse).toHaveLength(30);
      expect(BatchItemResponse.at(-1)).toMatchObject({ bId: 'rejected', Fault: { type: 'ValidationFault' } });
      await expect(request((done) => client().batch([...items, ...queries], done))).rejects.toMatchObject({
        response: { status: 400, data: { Fault: { type: 'ValidationFault' } } },
      });
    });

    it('reads a report of 3 MB', async () => {
      const read = (done: Callback) => client().reportGeneralLedgerDetail({}, done);
      expect(await request(read)).toMatchObject({ Rows: { Row: { length: 12_000 } } });
    });
  });

  it('intuit-oauth’s makeApiCall reads and creates', async () => {
    const token = { access_token: API_KEY, token_type: 'bearer', expires_in: 3600, realmId: 'acme' };
    const urls = { clientId: 'unused', clientSecret: 'unused', redirectUri: 'http://localhost/unused' };
    const oauthClient = new OAuthClient({ ...urls, environment: 'sandbox', token });
    const company = await oauthClient.makeApiCall({ url: `${base()}/acme/companyinfo/acme` });
    expect(company.json).toMatchObject({ CompanyInfo: { CompanyName: 'Sandbox Company_US_1' } });
    const invoice = await oauthClient.makeApiCall({
      url: `${base()}/acme/invoice?minorversion=75`,
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: { DocNumber: 'IO-1', CustomerRef: { value: '1' } },
    });
    expect(invoice.json).toMatchObject({ Invoice: { DocNumber: 'IO-1' } });
  });

  it('the README’s code runs, and creates an invoice once', async () => {
    const { simulator, service } = harness;
    const code = README.replaceAll('http://localhost:8080', service.origin);
    const run = async () => {
      const printed: unknown[] = [];
      const console = { log: (value: unknown) => printed.push(value) };
      const process = { env: { API_KEY } };
      const names = ['QuickBooks', 'OAuthClient', 'process', 'console'];
      await new AsyncFunction(...names, code)(QuickBooks, OAuthClient, process, console);
      await until(() => printed.length === 3);
      return printed as { Id?: string; Invoice?: object[] }[];
    };
    const first = await run();
    expect(first).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ Invoice: expect.any(Array) }),
        expect.objectContaining({ Id: expect.any(String), CustomerRef: { value: '1' } }),
      ]),
    );
    const ids = ({ Id }: { Id?: string }) => Id ?? '';
    expect((await run()).map(ids).sort()).toEqual(first.map(ids).sort());
    const posts = simulator.callsTo('api').filter(({ method }) => method === 'POST');
    expect(posts.map(({ url }) => new URL(url, service.origin).searchParams.get('requestid')).sort()).toEqual([
      'order-7',
      'order-7',
      'order-8',
      'order-8',
    ]);
  });

  it('fetch uploads a form, reads a report, and creates an invoice once for an Idempotency-Key', async () => {
    const headers = { authorization: `Bearer ${API_KEY}` };
    const form = new FormData();
    form.set('file_content_01', new Blob([new Uint8Array(2 * MIB)], { type: 'text/csv' }), 'lines.csv');
    const uploaded = await call(harness.service, 'acme', 'upload', { method: 'POST', body: form, headers });
    expect(await uploaded.json()).toMatchObject({ AttachableResponse: [{ Attachable: { Size: 2 * MIB } }] });

    const report = await (await call(harness.service, 'acme', 'reports/GeneralLedger', { headers })).text();
    expect(report.length).toBeGreaterThan(3_000_000);

    const post = { method: 'POST', body: '{"DocNumber":"F-1"}', headers: { ...headers, 'idempotency-key': 'once' } };
    const create = async () => (await call(harness.service, 'acme', 'invoice', post)).json();
    expect(await create()).toEqual(await create());
  });

  itKeptSecrets(harness);

  function client(): NodeQuickBooks {
    const qbo = new QuickBooks('', '', API_KEY, false, 'acme', false, false, 75, '2.0');
    qbo.endpoint = `${base()}/`;
    return qbo;
  }

  function base(): string {
    return `${harness.service.origin}/v3/company`;
  }
});

async function request(send: (callback: Callback) => void): Promise<unknown> {
  return new Promise((resolve, reject) => send((error, result) => (error ? reject(error) : resolve(result))));
}
