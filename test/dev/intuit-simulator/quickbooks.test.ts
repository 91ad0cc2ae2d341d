import { describe, expect, it } from '@jest/globals';
import { INTUIT_LIMITS } from '../../../dev/intuit-simulator/throttle.ts';
import { REALM, useSimulator } from '../simulator-client.ts';

const client = useSimulator();
const JSON_TYPE = { 'content-type': 'application/json' };

describe('the simulator’s API, like QuickBooks,', () => {
  it('returns 429 with fault 3001 to more than 10 calls in a second to a company, and none to another', async () => {
    client.simulator.settings.limits = INTUIT_LIMITS;
    const { access_token } = await client.connect();
    const another = await client.connect('7');
    expect(await statuses(access_token, 11)).toEqual([...Array(10).fill(200), 429]);
    const rejected = await client.api('invoice/1', access_token);
    expect(await rejected.json()).toMatchObject({ fault: { error: [{ code: '3001' }], type: 'SERVICE' } });
    expect(await client.companyStatus(another.access_token, '7')).toBe(200);
    client.clock.advance(1_000);
    expect(await statuses(access_token, 1)).toEqual([200]);
    expect(client.simulator.totals).toMatchObject({ 'api 200': 12, 'api 429': 2 });
  });

  it('returns 429 to more than 500 calls in a minute', async () => {
    client.simulator.settings.limits = { perSecond: 1_000, perMinute: 20 };
    const { access_token } = await client.connect();
    expect(await statuses(access_token, 21)).toEqual([...Array(20).fill(200), 429]);
    client.clock.advance(59_999);
    expect(await statuses(access_token, 1)).toEqual([429]);
    client.clock.advance(1);
    expect(await statuses(access_token, 1)).toEqual([200]);
  });

  it('processes a POST that is repeated with its requestid once', async () => {
    const { access_token } = await client.connect();
    const create = async (id: string) => {
      const init = { method: 'POST', body: '{"DocNumber":"A1"}', headers: JSON_TYPE };
      return (await client.api(`invoice?requestid=${id}`, access_token, init)).json();
    };
    const first = await create('a');
    expect(first).toMatchObject({ Invoice: { Id: '4' } });
    expect(await create('a')).toEqual(first);
    expect(await create('b')).toMatchObject({ Invoice: { Id: '5' } });
  });

  it('returns 200 for a batch of 30 with a fault in place of the items that it rejects, and 400 for 31', async () => {
    const { access_token } = await client.connect();
    const items = Array.from({ length: 29 }, (_, index) => ({ bId: String(index), Query: 'select * from Invoice' }));
    const send = (BatchItemRequest: object[]) =>
      client.api('batch', access_token, {
        method: 'POST',
        body: JSON.stringify({ BatchItemRequest }),
        headers: JSON_TYPE,
      });
    const rejected = { bId: 'rejected', operation: 'create', Teapot: {} };
    const response = await send([...items, rejected]);
    expect(response.status).toBe(200);
    const { BatchItemResponse } = (await response.json()) as { BatchItemResponse: object[] };
    expect(BatchItemResponse).toHaveLength(30);
    expect(BatchItemResponse[0]).toMatchObject({ bId: '0', QueryResponse: { maxResults: 3 } });
    expect(BatchItemResponse[29]).toMatchObject({ bId: 'rejected', Fault: { type: 'ValidationFault' } });
    expect((await send([...items, ...items])).status).toBe(400);
    expect((await send({} as object[])).status).toBe(400);
  });

  it('keeps the facts of an uploaded file', async () => {
    const { access_token } = await client.connect();
    const form = new FormData();
    form.set('file_metadata_01', new Blob(['{"Note":"a receipt"}'], { type: 'application/json' }), 'metadata.json');
    form.set('file_content_01', new Blob([new Uint8Array(3_000_000)], { type: 'image/png' }), 'receipt.png');
    const response = await client.api('upload', access_token, { method: 'POST', body: form });
    expect(await response.json()).toMatchObject({
      AttachableResponse: [
        {
          Attachable: {
            Id: '1',
            FileName: 'receipt.png',
            ContentType: 'image/png',
            Size: 3_000_000,
            Note: 'a receipt',
          },
        },
      ],
    });
  });

  it('returns an invoice as PDF', async () => {
    const { access_token } = await client.connect();
    const response = await client.api('invoice/1/pdf', access_token);
    expect(response.headers.get('content-type')).toBe('application/pdf');
    expect(await response.text()).toMatch(/^%PDF-1\.4[\s\S]*Invoice 1001[\s\S]*%%EOF\n$/);
    expect((await client.api('invoice/99/pdf', access_token)).status).toBe(400);
  });

  it('returns a report of 3 MB, compressed if the client accepts it', async () => {
    const { access_token } = await client.connect();
    const compressed = await client.api('reports/GeneralLedger', access_token);
    const text = await compressed.text();
    expect(text.length).toBeGreaterThan(3_000_000);
    expect(compressed.headers.get('content-encoding')).toBe('gzip');
    const headers = { 'accept-encoding': 'identity' };
    const plain = await client.api('reports/GeneralLedger', access_token, { headers });
    expect([plain.headers.get('content-encoding'), (await plain.text()).length]).toEqual([null, text.length]);
  });

  it('keeps no more calls than the setting says', async () => {
    client.simulator.settings.keptCalls = 2;
    const { access_token } = await client.connect();
    await statuses(access_token, 3);
    expect(client.simulator.calls).toHaveLength(2);
  });
});

async function statuses(accessToken: string, times: number): Promise<number[]> {
  const all: number[] = [];
  for (let count = 0; count < times; count += 1) all.push(await client.companyStatus(accessToken, REALM));
  return all;
}
