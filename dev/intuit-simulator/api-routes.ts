import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { type Request, Router } from 'express';
import { authorizationFault, companyFault, tokenFault, validationFault } from './api-errors.ts';
import { bearer, jsonOf } from './calls.ts';
import type { Companies } from './companies.ts';
import type { Grants } from './grants.ts';
import { gzipped, json, type SimulatedResponse } from './responses.ts';
import { type Entity, sampleInvoices } from './sample-invoices.ts';
import type { Serve } from './serve.ts';

interface Dependencies {
  serve: Serve;
  grants: Grants;
  companies: Companies;
  now: () => Date;
}

/** The QuickBooks Online API below `/v3/company/{realmId}`. Invoices are kept in memory. */
export function apiRoutes({ serve, grants, companies, now }: Dependencies): Router {
  const invoices = new Map(companies.list().map(({ realmId }) => [realmId, sampleInvoices()]));
  const router = Router({ mergeParams: true });
  router.get('/companyinfo/:id', api(companyInfo));
  router.get('/query', api(query));
  router.post('/query', api(query));
  router.get('/invoice/:id', api(readInvoice));
  router.post('/invoice', api(writeInvoice));
  router.get('/reports/:name', api(report));
  router.get('/bulk', api(bulk));
  router.all('/echo{/*rest}', api(echo));
  router.all('/{*rest}', api(unsupported));
  return router;

  function api(respond: (req: Request) => SimulatedResponse) {
    return serve('api', (req) => {
      const response = rejectionOf(req) ?? respond(req);
      return req.query['gzip'] === '1' ? gzipped(response) : response;
    });
  }

  /** The response to a request whose token gives no access to its company. */
  function rejectionOf(req: Request): SimulatedResponse | undefined {
    const token = bearer(req);
    const realmId = token === undefined ? undefined : grants.companyOf(token);
    if (token === undefined || realmId === undefined) return tokenFault(token ?? '');
    if (companies.nameOf(realmOf(req)) === undefined) return companyFault();
    return realmId === realmOf(req) ? undefined : authorizationFault(token, now());
  }

  function companyInfo(req: Request): SimulatedResponse {
    return found({ CompanyInfo: describeCompany(req) });
  }

  function query(req: Request): SimulatedResponse {
    const text = req.method === 'POST' ? String(req.body) : String(req.query['query'] ?? '');
    const [, columns, entity] = /^\s*select\s+(.+?)\s+from\s+(\w+)/is.exec(text) ?? [];
    if (!columns || !entity)
      return validationFault('4000', 'Error parsing query', 'QueryParserError: Invalid query', now());
    const tables: Record<string, Entity[]> = {
      CompanyInfo: [describeCompany(req)],
      Invoice: invoicesOf(req),
    };
    const name = Object.keys(tables).find((table) => table.toLowerCase() === entity.toLowerCase()) ?? entity;
    const rows = tables[name] ?? [];
    if (/^count\(\*\)$/i.test(columns)) return found({ QueryResponse: { totalCount: rows.length } });
    const page = { [name]: rows, startPosition: 1, maxResults: rows.length };
    return found({ QueryResponse: rows.length === 0 ? {} : page });
  }

  function readInvoice(req: Request): SimulatedResponse {
    const invoice = invoicesOf(req).find(({ Id }) => Id === req.params['id']);
    if (!invoice) return validationFault('610', 'Object Not Found', 'Object Not Found : the invoice', now());
    return found({ Invoice: invoice });
  }

  function writeInvoice(req: Request): SimulatedResponse {
    const fields = jsonOf(req);
    if (typeof fields !== 'object' || fields === null || Array.isArray(fields))
      return validationFault(
        '2010',
        'Request has invalid or unsupported property',
        'The body is not a JSON object',
        now(),
      );
    const existing = invoicesOf(req).find(({ Id }) => Id === (fields as Entity)['Id']);
    const time = now().toISOString();
    const invoice = existing ?? {
      Id: String(invoicesOf(req).length + 1),
      SyncToken: '-1',
      MetaData: { CreateTime: time },
    };
    const SyncToken = String(Number(invoice['SyncToken']) + 1);
    const MetaData = { ...(invoice['MetaData'] as Entity), LastUpdatedTime: time };
    Object.assign(invoice, fields, { Id: invoice['Id'], SyncToken, MetaData });
    if (!existing) invoices.set(realmOf(req), [...invoicesOf(req), invoice]);
    return found({ Invoice: invoice });
  }

  function report(req: Request): SimulatedResponse {
    const Header = { ReportName: req.params['name'], Currency: 'USD', Time: now().toISOString() };
    return json(200, {
      Header,
      Columns: { Column: [{ ColTitle: '', ColType: 'Account' }] },
      Rows: { Row: [] },
    });
  }

  function unsupported(): SimulatedResponse {
    return validationFault('500', 'Unsupported Operation', 'Operation is not supported.', now());
  }

  function found(entities: Entity): SimulatedResponse {
    return json(200, { ...entities, time: now().toISOString() });
  }

  function invoicesOf(req: Request): Entity[] {
    return invoices.get(realmOf(req)) ?? [];
  }

  function describeCompany(req: Request): Entity {
    const name = companies.nameOf(realmOf(req));
    return {
      CompanyName: name,
      LegalName: name,
      Country: 'US',
      EmployerId: '91-1234567',
      Id: '1',
      SyncToken: '4',
    };
  }
}

/** `?bytes=N`: a JSON object of N bytes (at least 11), generated while it is read. */
function bulk(req: Request): SimulatedResponse {
  const fill = Math.max(0, Number(req.query['bytes'] ?? 0) - 11);
  const body = Readable.from(bulkChunks(fill), { objectMode: false });
  return { status: 200, headers: { 'content-type': 'application/json;charset=UTF-8' }, body };
}

function* bulkChunks(fill: number): Generator<Buffer> {
  const chunk = Buffer.alloc(64 * 1024, 'x');
  yield Buffer.from('{"bulk":"');
  for (let left = fill; left > 0; left -= chunk.length) yield chunk.subarray(0, left);
  yield Buffer.from('"}');
}

/** Returns the request, with the body's length and SHA-256 (hexadecimal) in place of the body. */
function echo(req: Request): SimulatedResponse {
  const body = req.body as Buffer;
  const bodySha256 = createHash('sha256').update(body).digest('hex');
  return json(200, {
    method: req.method,
    url: req.originalUrl,
    headers: req.headers,
    bodyLength: body.length,
    bodySha256,
  });
}

function realmOf(req: Request): string {
  return String(req.params['realmId']);
}
