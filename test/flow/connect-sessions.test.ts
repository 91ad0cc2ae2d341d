import { describe, expect, it } from '@jest/globals';
import supertest from 'supertest';
import { bearer, KEYS, WITH_KEYS } from '../support/credentials.ts';
import { createSqlite, describeEachDatabase } from '../support/databases.ts';
import { type Harness, HOURS, SECONDS, useHarness } from '../support/harness.ts';
import { callback, changed, expectProblem, PREFIX } from '../support/requests.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { send } from '../support/send.ts';

const APP = 'https://app.example';
const ADMIN = 'https://admin.example/console';
const env = { ...WITH_KEYS, FRONTEND_URL: `${APP}/, ${ADMIN}` };
const CHROME = 'text/html,application/xhtml+xml,*/*;q=0.8';

describe('the body of POST connect', () => {
  const harness = useHarness(createSqlite, { env, frozen: true });
  const post = (body?: string | object) => {
    const request = supertest(harness.service.origin).post(`${PREFIX}/connect/acme`).set(bearer(KEYS.billing));
    return body === undefined ? request : request.set('Content-Type', 'application/json').send(body);
  };

  it.each([undefined, {}])('is optional: %j', async (body) => {
    harness.clock.setWallClock(new Date('2026-02-10T14:00:00.000Z'));
    expect((await post(body).expect(201)).body.expires_at).toBe('2026-02-10T14:05:00.000Z');
  });

  it.each([60, 172_800])('sets the link’s lifetime to %i seconds', async (expires_in) => {
    const { body } = await post({ expires_in }).expect(201);
    const path = pathOf(body.connect_url);
    harness.clock.advance(expires_in * SECONDS - 1);
    expect((await send(harness.service.origin, path)).status).toBe(302);
    harness.clock.advance(1);
    expect((await send(harness.service.origin, path)).status).toBe(401);
  });

  it.each<[object | string, string]>([
    [{ other: 1 }, 'other is not a known field'],
    [{ return_url: 'https://evil.example/' }, 'return_url must be a URL on one of the frontends'],
    [{ return_url: `${APP}/#x` }, 'return_url must be'],
    [{ return_url: 7 }, 'return_url must be a string'],
    [{ return_url: null }, 'return_url must be a string'],
    [{ expires_in: 59 }, 'expires_in must be at least 60'],
    [{ expires_in: 172_801 }, 'expires_in must be at most 172800'],
    [{ expires_in: 60.5 }, 'expires_in must be a whole number'],
    [{ expires_in: '60' }, 'expires_in must be a whole number'],
    [{ realm_id: '' }, 'realm_id must be 1 to 100'],
    [{ realm_id: '1 2' }, 'realm_id must be 1 to 100'],
    [{ realm_id: 'not-a-realm' }, 'realm_id must be 1 to 32 digits'],
    [{ realm_id: 1 }, 'realm_id must be a string'],
    ['[]', 'body must be a JSON object'],
    ['"x"', 'body must be a JSON object'],
    ['{', 'body must be a JSON object'],
  ])('is rejected by name: %j', async (body, detail) => {
    const response = await post(body);
    expectProblem(response, 400, 'invalid_request');
    expect(response.body.detail).toContain(detail);
  });

  it('is limited to 16 KiB, by its Content-Length and by the bytes received', async () => {
    const padding = (bytes: number) => `{}${' '.repeat(bytes - 2)}`;
    await post(padding(16 * 1024)).expect(201);
    expectProblem(await post(padding(16 * 1024 + 1)), 413, 'payload_too_large', /16 KiB/);
    const headers = { ...bearer(KEYS.billing), 'Transfer-Encoding': 'chunked' };
    const body = padding(16 * 1024 + 1);
    const chunked = await send(harness.service.origin, `${PREFIX}/connect/acme`, { method: 'POST', headers, body });
    expect(chunked.status).toBe(413);
  });

  it('is read whatever its content type is, so that no option is ignored', async () => {
    const headers = { ...bearer(KEYS.billing), 'Content-Type': 'text/plain' };
    const body = JSON.stringify({ expires_in: 1 });
    const response = await send(harness.service.origin, `${PREFIX}/connect/acme`, { method: 'POST', headers, body });
    expect(response.status).toBe(400);
  });
});

describeEachDatabase('a connect session', (createDatabase) => {
  const harness = useHarness(createDatabase, { env });

  it('returns to its own page, with the outcome added to the query', async () => {
    const page = `${ADMIN}/orders?tab=1`;
    const { path } = await open(harness, 'linked', { return_url: page });
    const flow = await consentTo(harness, path);
    expect((await callback(harness.service, flow)).headers['location']).toBe(
      `${page}&connected=true&system=quickbooks`,
    );
    expect((await callback(harness.service, flow)).headers['location']).toBe(
      `${page}&connected=true&system=quickbooks`,
    );
  });

  it('returns to the page of its link, whatever the browser that opens the link asks for', async () => {
    const page = `${ADMIN}/orders`;
    const { path } = await open(harness, 'stored', { return_url: page });
    const flow = await consentTo(harness, `${path}&${new URLSearchParams({ return_url: `${APP}/other` })}`);
    expect((await callback(harness.service, flow)).headers['location']).toBe(
      `${page}?connected=true&system=quickbooks`,
    );
  });

  it('returns to the page that a caller with credentials chose', async () => {
    const query = new URLSearchParams({ return_url: `${ADMIN}/x` });
    const flow = await consentTo(harness, `${PREFIX}/connect/direct?${query}`, {}, bearer(KEYS.billing));
    expect((await callback(harness.service, flow)).headers['location']).toBe(
      `${ADMIN}/x?connected=true&system=quickbooks`,
    );
    for (const bad of [{ return_url: 'https://evil.example/' }, { return_url: '' }]) {
      const path = `${PREFIX}/connect/direct?${new URLSearchParams(bad)}`;
      expect((await send(harness.service.origin, path, { headers: bearer(KEYS.billing) })).status).toBe(400);
    }
  });

  it('returns to the first FRONTEND_URL by default', async () => {
    const { path } = await open(harness, 'default', {});
    const flow = await consentTo(harness, path, { consent: false });
    const page = `${APP}/settings/integrations`;
    expect((await callback(harness.service, flow)).headers['location']).toBe(
      `${page}?connected=false&system=quickbooks&error=access_denied`,
    );
  });

  it('returns a browser to its own page with an error, if the signature is valid', async () => {
    const page = `${ADMIN}/orders`;
    const { path } = await open(harness, 'errors', { return_url: page });
    const flow = await consentTo(harness, path);
    const failed =
      /^https:\/\/admin\.example\/console\/orders\?connected=false&system=quickbooks&error=(\w+)&request_id=/;
    const browse = async (url: string, cookie = '') =>
      failed.exec(
        String(
          (await send(harness.service.origin, url, { headers: { Accept: CHROME, Cookie: cookie } })).headers[
            'location'
          ],
        ),
      )?.[1];
    expect(await browse(flow.path)).toBe('invalid_state');
    expect(await browse(changed(flow.path, { code: undefined }))).toBe('invalid_request');
    expect(await browse(changed(flow.path, { state: 'x' }))).toBeUndefined();
    harness.simulator.fail({ on: 'token', kind: 'invalid_grant' });
    expect(await browse(flow.path, flow.cookie)).toBe('authorization_code_rejected');
    expect(await browse(path.replace('/errors?', '/others?'))).toBe('unauthorized');
    harness.clock.advance(1 * HOURS);
    expect(await browse(path)).toBe('unauthorized');
    expect(await browse(flow.path, flow.cookie)).toBe('invalid_state');
  });

  it('lets pages of every frontend call, and no other', async () => {
    for (const origin of [APP, 'https://admin.example']) {
      const headers = { ...bearer(KEYS.billing), Origin: origin };
      const response = await supertest(harness.service.origin).post(`${PREFIX}/connect/acme`).set(headers).expect(201);
      expect(response.headers['access-control-allow-origin']).toBe(origin);
    }
    const headers = { ...bearer(KEYS.billing), Origin: 'https://other.example' };
    await supertest(harness.service.origin).post(`${PREFIX}/connect/acme`).set(headers).expect(403);
  });

  it('connects only the company that its link is for', async () => {
    const { path } = await open(harness, 'pinned', { realm_id: '71' });
    const other = await consentTo(harness, path, { realmId: '72' });
    harness.simulator.resetCalls();
    expectProblem(await callback(harness.service, other), 400, 'company_mismatch');
    expect(await harness.rows('pinned')).toEqual([]);
    expect([harness.revocations(), harness.simulator.grantFor('72')?.revoked]).toEqual([1, true]);
    expect(await harness.eventTypes('pinned')).toEqual(['company_mismatch']);
    const right = await consentTo(harness, path, { realmId: '71' });
    expect((await callback(harness.service, right)).status).toBe(302);
    expect(await harness.row('pinned')).toMatchObject({ realm_id: '71' });
  });

  it('does not revoke the grant of another company that an active connection uses', async () => {
    await harness.connect('user-of-73', '73');
    const { path } = await open(harness, 'pinned-again', { realm_id: '71' });
    const flow = await consentTo(harness, path, { realmId: '73' });
    expectProblem(await callback(harness.service, flow), 400, 'company_mismatch');
    expect([harness.revocations(), await harness.pendingRevocations()]).toEqual([0, []]);
  });

  it('revokes the grant of another company only once it is proven', async () => {
    const { path } = await open(harness, 'unproven', { realm_id: '71' });
    const flow = await consentTo(harness, path, { realmId: '74' });
    harness.simulator.fail({ on: 'companyinfo', kind: 'status', status: 503, times: 2 });
    expectProblem(await callback(harness.service, flow), 400, 'company_mismatch');
    expect([harness.revocations(), await harness.rows('unproven')]).toEqual([0, []]);
    await harness.home.worker.tick();
    expect(harness.revocations()).toBe(0);
    harness.clock.advance(200 * SECONDS);
    await harness.home.worker.tick();
    expect([harness.revocations(), await harness.knex('pending_grants')]).toEqual([1, []]);
  });

  itKeptSecrets(harness);
});

async function open({ service }: Harness, organization: string, body: object): Promise<{ path: string }> {
  const request = supertest(service.origin).post(`${PREFIX}/connect/${organization}`).set(bearer(KEYS.billing));
  return { path: pathOf((await request.send(body).expect(201)).body.connect_url) };
}

/** The callback of a user who opened this path. */
async function consentTo(
  { service, simulator }: Harness,
  path: string,
  choice: { realmId?: string; consent?: boolean } = {},
  headers: Record<string, string> = {},
) {
  const started = await send(service.origin, path, { headers });
  expect(started.status).toBe(302);
  const url = await simulator.authorize(String(started.headers['location']), choice);
  return { path: pathOf(url), cookie: String(started.headers['set-cookie']).split(';')[0] ?? '' };
}

function pathOf(url: string): string {
  const { pathname, search } = new URL(url);
  return pathname + search;
}
