import { expect } from '@jest/globals';
import supertest, { type Response } from 'supertest';

export const PREFIX = '/api/v1/oauth/quickbooks';

/** The callback as the browser sends it. */
export async function callback(
  service: { origin: string },
  { path, cookie }: { path: string; cookie: string },
): Promise<Response> {
  return supertest(service.origin).get(path).set('Cookie', cookie);
}

/** Changes a path's query: each parameter is replaced, repeated (an array) or removed (undefined). */
export function changed(path: string, changes: Record<string, string | string[] | undefined>): string {
  const url = new URL(path, 'http://any');
  for (const [name, value] of Object.entries(changes)) {
    url.searchParams.delete(name);
    for (const item of [value ?? []].flat()) url.searchParams.append(name, item);
  }
  return `${url.pathname}${url.search}`;
}

/** Expects an error in the contract's form. @param detail matches its text */
export function expectProblem(response: Response, status: number, code: string, detail = /./): void {
  expect([response.status, response.body?.code, response.body?.detail]).toEqual([
    status,
    code,
    expect.stringMatching(detail),
  ]);
  expect(response.headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(response.headers['cache-control']).toBe('no-cache, no-store');
  expect(response.body).toEqual({
    type: 'about:blank',
    title: expect.any(String),
    status,
    detail: expect.any(String),
    code,
    request_id: response.headers['x-request-id'],
  });
}

/** Expects a `Retry-After` in whole seconds. */
export function expectRetryAfter(response: Response): void {
  expect(response.headers['retry-after']).toMatch(/^[1-9]\d{0,4}$/);
}
