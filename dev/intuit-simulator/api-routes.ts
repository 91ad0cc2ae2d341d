import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { type Request, Router } from 'express';
import { authorizationFault, companyFault, throttleFault, tokenFault, validationFault } from './api-errors.ts';
import { Attachments } from './attachments.ts';
import { batch, MAX_BATCH_ITEMS } from './batch.ts';
import { bearer, jsonOf } from './calls.ts';
import type { Companies } from './companies.ts';
import type { Grants } from './grants.ts';
import { Invoices } from './invoices.ts';
import { pdf } from './pdf.ts';
import { RepeatedRequests } from './repeated-requests.ts';
import { report } from './reports.ts';
import { gzipped, json, type SimulatedResponse } from './responses.ts';
import type { Entity } from './sample-invoices.ts';
import type { Serve } from './serve.ts';
import { Throttle, type ThrottleLimits } from './throttle.ts';

/** QuickBooks compresses what is larger, if the client accepts it. */
const COMPRESSED_BYTES = 8 * 1024;

/** How the API behaves. */
export interface ApiSettings {
  /** If absent, calls are not limited. */
  limits?: ThrottleLimits;
  /** How long ago a call that is handled now can have arrived, in milliseconds. Default: 0. */
  lateMs?: () => number;
}

interface Dependencies {
  serve: Serve;
  grants: Grants;
  companies: Companies;
  settings: ApiSettings;
  now: () => Date;
}

/** The QuickBooks Online API below `/v3/company/{realmId}`. */
export function apiRoutes({ serve, grants, companies, settings, now }: Dependencies): Router {
  const invoices = new Invoices(companies);
  const attachments = new Attachments();
  const repeatedRequests = new RepeatedRequests();
  const throttle = new Throttle();
  const router = Router({ mergeParams: true });
  router.get('/companyinfo/:id', api(companyInfo));
  router.get('/query', api(query));
  router.post('/query', api(query));
  router.get('/invoice/:id', api(readInvoice));
  router.get('/invoice/:id/pdf', api(readPdf));
  router.post('/invoice', api(writeInvoice));
  router.post('/batch', api(batchOf));
  router.post(
    '/upload',
    api((req) => attachments.upload(req, now().toISOString())),
  );
  router.get(
    '/reports/:name',
    api((req) => report(String(req.params['name']), now().toISOString())),
  );
  router.get('/bulk', api(bulk));
  router.all('/echo{/*rest}', api(echo));
  router.all('/{*rest}', api(unsupported));
  return router;

  function api(respond: (req: Request) => SimulatedResponse | Promise<SimulatedResponse>) {
    return serve('api', async (req) => {
      const response = rejectionOf(req) ?? (await repeatedRequests.respond(req, () => respond(req)));
      return isCompressed(req, response) ? gzipped(response) : response;
    });
  }

  /** The response to a request whose token gives no access to its company, or that is one too many. */
  function rejectionOf(req: Request): SimulatedResponse | undefined {
    const token = bearer(req);
    const realmId = token === undefined ? undefined : grants.companyOf(token);
    if (token === undefined || realmId === undefined) return tokenFault(token ?? '');
    if (companies.nameOf(realmOf(req)) === undefined) return companyFault();
    if (realmId !== realmOf(req)) return authorizationFault(token, now());
    const { limits, lateMs } = settings;
    const handledAt = now().getTime();
    const call = { realmId, handledAt, arrivedAt: handledAt - (lateMs?.() ?? 0) };
    return limits && !throttle.accepts(call, limits) ? throttleFault() : undefined;
  }

  function companyInfo(req: Request): SimulatedResponse {
    return found({ CompanyInfo: describeCompany(req) });
  }

  function query(req: Request): SimulatedResponse {
    return select(req, req.method === 'POST' ? String(req.body) : String(req.query['query'] ?? ''));
  }

  function select(req: Request, text: string): SimulatedResponse {
    const [, columns, entity] = /^\s*select\s+(.+?)\s+from\s+(\w+)/is.exec(text) ?? [];
    if (!columns || !entity)
      return validationFault('4000', 'Error parsing query', 'QueryParserError: Invalid query', now());
    const tables: Record<string, Entity[]> = {
      CompanyInfo: [describeCompany(req)],
      Invoice: invoices.list(realmOf(req)),
    };
    const name = Object.keys(tables).find((table) => table.toLowerCase() === entity.toLowerCase()) ?? entity;
    const rows = tables[name] ?? [];
    if (/^count\(\*\)$/i.test(columns)) return found({ QueryResponse: { totalCount: rows.length } });
    const page = { [name]: rows, startPosition: 1, maxResults: rows.length };
    return found({ QueryResponse: rows.length === 0 ? {} : page });
  }

  function readInvoice(req: Request): SimulatedResponse {
    const invoice = invoices.find(realmOf(req), req.params['id']);
    return invoice ? found({ Invoice: invoice }) : notFound();
  }

  function readPdf(req: Request): SimulatedResponse {
    const invoice = invoices.find(realmOf(req), req.params['id']);
    return invoice ? pdf(`Invoice ${invoice['DocNumber'] ?? invoice['Id']}`) : notFound();
  }

  function writeInvoice(req: Request): SimulatedResponse {
    return writeFields(realmOf(req), jsonOf(req));
  }

  function writeFields(realmId: string, fields: unknown): SimulatedResponse {
    if (!isEntity(fields)) return invalid('The body is not a JSON object');
    return found({ Invoice: invoices.write(realmId, fields, now().toISOString()) });
  }

  function batchOf(req: Request): SimulatedResponse {
    const fields = jsonOf(req);
    const items = isEntity(fields) ? fields['BatchItemRequest'] : undefined;
    if (!Array.isArray(items)) return invalid('BatchItemRequest is not an array');
    if (items.length > MAX_BATCH_ITEMS) return invalid(`A batch has at most ${MAX_BATCH_ITEMS} items`);
    const respond = ({ Query, Invoice, operation }: Entity) => {
      if (typeof Query === 'string') return select(req, Query);
      return operation === 'create' || operation === 'update' ? writeFields(realmOf(req), Invoice) : unsupported();
    };
    return batch(items, respond, now().toISOString());
  }

  function notFound(): SimulatedResponse {
    return validationFault('610', 'Object Not Found', 'Object Not Found : the invoice', now());
  }

  function invalid(detail: string): SimulatedResponse {
    return validationFault('2010', 'Request has invalid or unsupported property', detail, now());
  }

  function unsupported(): SimulatedResponse {
    return validationFault('500', 'Unsupported Operation', 'Operation is not supported.', now());
  }

  function found(entities: Entity): SimulatedResponse {
    return json(200, { ...entities, time: now().toISOString() });
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

/** Always with `?gzip=1`, whatever the client accepts. */
function isCompressed(req: Request, { body }: SimulatedResponse): boolean {
  if (req.query['gzip'] === '1') return true;
  const isLarge = typeof body === 'string' && body.length > COMPRESSED_BYTES;
  return isLarge && req.acceptsEncodings('gzip') !== false;
}

function isEntity(value: unknown): value is Entity {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function realmOf(req: Request): string {
  return String(req.params['realmId']);
}
