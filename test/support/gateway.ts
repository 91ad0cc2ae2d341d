import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect } from '@jest/globals';
import type { TestService } from './service.ts';

/** A call through the gateway, as a sibling service makes it. */
export async function call(
  { origin }: Pick<TestService, 'origin'>,
  organizationId: string,
  resource = 'companyinfo/1',
  init: RequestInit = {},
): Promise<Response> {
  return fetch(`${origin}/api/v1/quickbooks/${organizationId}/${resource}`, { redirect: 'manual', ...init });
}

/** Makes the same call several times at once. Returns the statuses. */
export async function callAtOnce(service: Pick<TestService, 'origin'>, organizationId: string, times: number) {
  const responses = await Promise.all(Array.from({ length: times }, () => call(service, organizationId)));
  await Promise.all(responses.map((response) => response.arrayBuffer()));
  return responses.map(({ status }) => status);
}

/** Expects an error of the service: QuickBooks' own have another content type. Returns its `Retry-After`. */
export async function expectOwnError(response: Response, status: number, code: string): Promise<string | null> {
  const body = (await response.json()) as { code: string };
  expect([response.status, body.code]).toEqual([status, code]);
  expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  return response.headers.get('retry-after');
}

/** Sends exactly these bytes. Returns everything that is received until the connection is closed. */
export async function sendRaw(origin: string, bytes: string | Buffer): Promise<string> {
  const { hostname, port } = new URL(origin);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  return text(socket);
}

/** A QuickBooks API whose responses a test writes byte by byte. It accepts every token. */
export interface Upstream {
  origin: string;
  respond: (request: IncomingMessage, response: ServerResponse) => unknown;
  /** To be added to the service's variables. */
  env: Record<string, string>;
}

/** An upstream for one suite. Call it before `useHarness`, which receives its `env`. @param path of its base URL */
export function useUpstream(path = ''): Upstream {
  const server: Server = createServer((request, response) => upstream.respond(request, response));
  const upstream: Upstream = { origin: '', env: {}, respond: (_, response) => response.writeHead(404).end() };
  beforeAll(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    upstream.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    upstream.env['QBO_API_BASE_URL'] = upstream.origin + path;
  });
  afterAll(async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });
  return upstream;
}

/** A POST whose body the test writes; without a length it is sent in chunks. */
export function sendSlowly({ origin }: Pick<TestService, 'origin'>, organizationId: string, length?: number) {
  const headers = length === undefined ? {} : { 'content-length': length };
  const url = `${origin}/v3/company/${organizationId}/echo`;
  const sent = request(url, { method: 'POST', headers, agent: false });
  const pending = new Promise<{ status: number; connection: string; body: string }>((resolve, reject) => {
    sent.on('error', reject).on('response', async (response) => {
      const body = await text(response).catch(reject);
      resolve({ status: response.statusCode ?? 0, connection: response.headers.connection ?? '', body: body ?? '' });
    });
  });
  return { sent, pending };
}
