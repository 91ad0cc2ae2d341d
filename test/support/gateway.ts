import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect } from '@jest/globals';
import type { TestService } from './service.ts';
import type { Stage } from './stage.ts';

/** A call through the gateway, as a sibling service makes it. */
export async function call(
  { origin }: Pick<TestService, 'origin'>,
  organizationId: string,
  resource = 'companyinfo/1',
  init: RequestInit = {},
): Promise<Response> {
  return fetch(`${origin}/api/v1/quickbooks/${organizationId}/${resource}`, { redirect: 'manual', ...init });
}

/** The same call many times at once: the statuses. */
export async function callAtOnce(service: Pick<TestService, 'origin'>, organizationId: string, times: number) {
  const answers = await Promise.all(Array.from({ length: times }, () => call(service, organizationId)));
  await Promise.all(answers.map((answer) => answer.arrayBuffer()));
  return answers.map(({ status }) => status);
}

/** Leaves the organization's access token this much time by our own account; Intuit still takes it. */
export async function setTimeLeft(stage: Stage, organization_id: string, milliseconds: number): Promise<void> {
  const access_token_expires_at = new Date(stage.clock().getTime() + milliseconds);
  await stage.knex('oauth_tokens').where({ organization_id, is_active: 1 }).update({ access_token_expires_at });
}

export async function expire(stage: Stage, organizationId: string): Promise<void> {
  await setTimeLeft(stage, organizationId, -1_000);
}

export function refreshes(stage: Stage): number {
  return stage.simulator.callsTo('token', 'refresh_token').length;
}

/** An error of ours, told from QuickBooks' own by its content type. Answers its `Retry-After`. */
export async function expectOwnError(answer: Response, status: number, code: string): Promise<string | null> {
  const body = (await answer.json()) as { code: string };
  expect([answer.status, body.code]).toEqual([status, code]);
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  return answer.headers.get('retry-after');
}

/** Resolves when `isSo`; a test that never comes there fails by its own time limit. */
export async function until(isSo: () => unknown): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Sends these bytes and nothing else; answers all that comes back until the connection is closed. */
export async function sendRaw(origin: string, bytes: string | Buffer): Promise<string> {
  const { hostname, port } = new URL(origin);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  return text(socket);
}

/** A QuickBooks API that does what a test tells it to, byte for byte, and takes every token. */
export interface Upstream {
  origin: string;
  answer: (request: IncomingMessage, response: ServerResponse) => unknown;
  /** To be added to the service's variables. */
  env: Record<string, string>;
}

/** Stands there for a suite; to be called before `useStage`, which is given its `env`. @param path of its base URL */
export function useUpstream(path = ''): Upstream {
  const server: Server = createServer((request, response) => upstream.answer(request, response));
  const upstream: Upstream = { origin: '', env: {}, answer: (_, response) => response.writeHead(404).end() };
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
