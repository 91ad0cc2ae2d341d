import type { IncomingHttpHeaders } from 'node:http';
import type { Request } from 'express';
import type { FaultKind } from './faults.ts';

/** The part of Intuit that was called. */
export type Endpoint = 'authorize' | 'token' | 'revoke' | 'api';

/** One request that reached the simulator, recorded before its response is sent. */
export interface Call {
  endpoint: Endpoint;
  method: string;
  /** The path without the query. */
  path: string;
  /** Path and query as they were sent. */
  url: string;
  headers: IncomingHttpHeaders;
  /** A form or JSON body as an object, any other as text. Undefined if there was none, or files. */
  body: unknown;
  /** For calls to the token endpoint. */
  grantType?: string;
  /** The refresh token, the token to be revoked, or the bearer token. */
  token?: string;
  /** Of the response, once its headers were sent. Absent if none were sent. */
  status?: number;
  /** The response's `intuit_tid`. */
  intuitTid: string;
  /** The fault that was applied to this call. */
  fault?: FaultKind;
  at: Date;
}

/** Records a request whose raw body was read into `req.body`. */
export function describeCall(endpoint: Endpoint, req: Request, intuitTid: string, at: Date): Call {
  const body = parseBody(req);
  const call: Call = {
    endpoint,
    method: req.method,
    path: req.originalUrl.replace(/\?.*$/s, ''),
    url: req.originalUrl,
    headers: req.headers,
    body,
    intuitTid,
    at,
  };
  const fields = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
  if (endpoint === 'token' && typeof fields['grant_type'] === 'string') call.grantType = fields['grant_type'];
  const token = {
    authorize: undefined,
    token: fields['refresh_token'],
    revoke: fields['token'],
    api: bearer(req),
  };
  if (typeof token[endpoint] === 'string') call.token = token[endpoint];
  return call;
}

/** Returns the token of an `Authorization: Bearer` header. */
export function bearer(req: Request): string | undefined {
  return /^Bearer (\S+)$/i.exec(req.headers.authorization ?? '')?.[1];
}

/** Returns the fields of a form body, or none if the body is not a form. */
export function formOf(req: Request): URLSearchParams {
  return new URLSearchParams(req.is('application/x-www-form-urlencoded') ? String(req.body) : '');
}

/** Returns the value of a JSON body, or undefined if the body is not JSON. */
export function jsonOf(req: Request): unknown {
  try {
    return JSON.parse(String(req.body));
  } catch {
    return undefined;
  }
}

function parseBody(req: Request): unknown {
  if (req.is('multipart/form-data')) return undefined;
  const text = String(req.body);
  if (text === '') return undefined;
  if (req.is('application/x-www-form-urlencoded')) return Object.fromEntries(formOf(req));
  return (req.is('json') ? jsonOf(req) : undefined) ?? text;
}
