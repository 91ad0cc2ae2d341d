/** An object of QuickBooks' API. */
export type Entity = Record<string, unknown>;

const SOLD = [
  { customer: "Amy's Bird Sanctuary", item: 'Rock Fountain', on: '2026-01-12', due: '2026-02-11', price: 275, paid: 0 },
  { customer: 'Cool Cars', item: 'Design', on: '2026-01-19', due: '2026-02-18', price: 562.5, paid: 562.5 },
  { customer: "Bill's Windsurf Shop", item: 'Pest Control', on: '2026-02-02', due: '2026-03-04', price: 85, paid: 35 },
];

/** The invoices that each company on the consent page has from the beginning. */
export function sampleInvoices(): Entity[] {
  return SOLD.map(({ customer, item, on, due, price, paid }, index) => ({
    Id: String(index + 1),
    DocNumber: String(1001 + index),
    CustomerRef: { value: String(index + 1), name: customer },
    TxnDate: on,
    DueDate: due,
    TotalAmt: price,
    Balance: price - paid,
    CurrencyRef: { value: 'USD', name: 'United States Dollar' },
    Line: [
      {
        Id: '1',
        LineNum: 1,
        Amount: price,
        DetailType: 'SalesItemLineDetail',
        SalesItemLineDetail: { ItemRef: { value: String(index + 1), name: item }, UnitPrice: price, Qty: 1 },
      },
    ],
    domain: 'QBO',
    sparse: false,
    SyncToken: '0',
    MetaData: { CreateTime: `${on}T09:00:00.000Z`, LastUpdatedTime: `${on}T09:00:00.000Z` },
  }));
}
