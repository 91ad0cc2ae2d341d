import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

// The fastest possible QuickBooks API: every request returns the same company.
const COMPANY = JSON.stringify({
  CompanyInfo: {
    CompanyName: 'Sandbox Company_US_1',
    LegalName: 'Sandbox Company_US_1',
    CompanyAddr: {
      Id: '1',
      Line1: '123 Sierra Way',
      City: 'San Pablo',
      CountrySubDivisionCode: 'CA',
      PostalCode: '87999',
    },
    PrimaryPhone: { FreeFormNumber: '555-0100' },
    CompanyStartDate: '2026-01-15',
    FiscalYearStartMonth: 'January',
    Country: 'US',
    Email: { Address: 'noreply@quickbooks.com' },
    SupportedLanguages: 'en',
    NameValue: [
      'NeoEnabled',
      'IsQbdtMigrated',
      'CompanyType',
      'SubscriptionStatus',
      'OfferingSku',
      'PayrollFeature',
    ].map((Name) => ({ Name, Value: 'false' })),
    domain: 'QBO',
    sparse: false,
    Id: '1',
    SyncToken: '4',
    MetaData: { CreateTime: '2026-01-15T16:08:11-08:00', LastUpdatedTime: '2026-02-09T10:42:33-08:00' },
  },
  time: '2026-02-10T06:00:00.000-08:00',
});
const HEADERS = {
  'Content-Type': 'application/json;charset=UTF-8',
  'Content-Length': String(Buffer.byteLength(COMPANY)),
  intuit_tid: '1-67a9f3c2-0123456789abcdef01234567',
};

const server = createServer((_request, response) => {
  response.writeHead(200, HEADERS).end(COMPANY);
});
server.listen(Number(process.env['PORT']), process.env['HOST'], () => {
  const { port } = server.address() as AddressInfo;
  console.log(JSON.stringify({ address: { port }, msg: 'listening' }));
});
process.once('SIGTERM', () => process.exit(0));
