import { describe, expect, it } from '@jest/globals';
import type { Fault } from '../../dev/intuit-simulator/faults.ts';
import { createSqlite } from '../support/databases.ts';
import { call, expire, until } from '../support/gateway.ts';
import { scrape } from '../support/metrics.ts';
import { callback, PREFIX } from '../support/requests.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { connect, consent, disconnect } from '../support/service.ts';
import { useStage } from '../support/stage.ts';

describe('the metrics', () => {
  const stage = useStage(createSqlite, { PROVIDER_TIMEOUT_MS: '2000' });
  const TEXT = { 'content-type': expect.stringMatching(/^text\/plain; version=0\.0\.4/), 'cache-control': 'no-store' };

  it('are Prometheus’ text, open to everyone, and no other method’s', async () => {
    const { headers, text } = await stage.service.http.get('/metrics').expect(200);
    expect(headers).toMatchObject(TEXT);
    expect(text).toContain('# TYPE http_request_duration_seconds histogram');
    await stage.service.http.head('/metrics').expect(200);
    const { headers: refused } = await stage.service.http.post('/metrics').expect(405);
    expect(refused['allow']).toBe('GET, HEAD');
  });

  it('count connects and callbacks by how they ended', async () => {
    const grow = await growth();
    await stage.service.http.post(`${PREFIX}/connect/acme`).expect(201);
    await stage.service.http.get(`${PREFIX}/connect/no!`).expect(400);
    await connect(stage.service, stage.simulator, 'acme', { realmId: '1' });
    await callback(stage.service, await consent(stage.service, stage.simulator, 'acme', { consent: false }));
    await stage.service.http.get(`${PREFIX}/callback?state=forged&code=x&realmId=1`).expect(400);
    expect(await grow()).toMatchObject({
      'accounting_connects_total{outcome="link_issued"}': 1,
      'accounting_connects_total{outcome="redirected"}': 2,
      'accounting_connects_total{outcome="invalid_request"}': 1,
      'accounting_callbacks_total{outcome="connected"}': 1,
      'accounting_callbacks_total{outcome="consent_refused"}': 1,
      'accounting_callbacks_total{outcome="invalid_state"}': 1,
    });
  });

  it('measure requests by the pattern of their route', async () => {
    const grow = await growth();
    await stage.service.http.get(`${PREFIX}/status/acme`).expect(200);
    await stage.service.http.get(`${PREFIX}/status/${'x'.repeat(37)}`).expect(400);
    await stage.service.http.get('/nowhere/acme').expect(404);
    await call(stage.service, 'acme', 'companyinfo/1');
    expect(await grow()).toMatchObject({
      [requests('GET', `${PREFIX}/status/:organization_id`, 200)]: 1,
      [requests('GET', `${PREFIX}/status/:organization_id`, 400)]: 1,
      [requests('GET', 'unmatched', 404)]: 1,
      [requests('GET', '/api/v1/quickbooks/:organization_id/*resource', 200)]: 1,
    });
  });

  it('take no label from a caller: neither the case of an address nor a method that no route has', async () => {
    const grow = await growth();
    await stage.service.http.get(`/API/v1/OAuth/quickbooks/status/acme`).expect(200);
    await stage.service.http.purge('/healthz').expect(405);
    expect(await grow()).toMatchObject({
      [requests('GET', `${PREFIX}/status/:organization_id`, 200)]: 1,
      [requests('other', '/healthz', 405)]: 1,
    });
    const text = JSON.stringify(await scrape(stage.service));
    expect(text).not.toMatch(/OAuth|PURGE/);
  });

  it('count gateway requests by the class of their status, and those whose caller left', async () => {
    const grow = await growth();
    await connect(stage.service, stage.simulator, 'classes', { realmId: '2' });
    expect((await call(stage.service, 'classes')).status).toBe(200);
    expect((await call(stage.service, 'nobody')).status).toBe(404);
    stage.simulator.fail({ on: 'api', kind: 'status', status: 500 });
    expect((await call(stage.service, 'classes')).status).toBe(500);
    stage.simulator.fail({ on: 'api', kind: 'hang' });
    stage.simulator.resetCalls();
    const leaving = new AbortController();
    const left = call(stage.service, 'classes', undefined, { signal: leaving.signal }).catch(() => undefined);
    await until(() => stage.simulator.callsTo('api').length > 0);
    leaving.abort();
    await left;
    const sum = (status: string) => `accounting_gateway_requests_total{status_class="${status}"}`;
    await until(async () => (await grow())[sum('aborted')]);
    expect(await grow()).toMatchObject({ [sum('2xx')]: 1, [sum('4xx')]: 1, [sum('5xx')]: 1, [sum('aborted')]: 1 });
  });

  it('count a refresh that Intuit refuses by the reason, and one that a disconnect overtook', async () => {
    const grow = await growth();
    await connect(stage.service, stage.simulator, 'revoked', { realmId: '4' });
    stage.simulator.revokeGrant('4');
    await expire(stage, 'revoked');
    await call(stage.service, 'revoked');

    await connect(stage.service, stage.simulator, 'rotated', { realmId: '5' });
    stage.simulator.revokeGrant('5');
    await expire(stage, 'rotated');
    await stage.knex('oauth_tokens').where('organization_id', 'rotated').update({ refresh_started_at: new Date() });
    await call(stage.service, 'rotated');

    await connect(stage.service, stage.simulator, 'overtaken', { realmId: '6' });
    await expire(stage, 'overtaken');
    const release = stage.simulator.hold({ on: 'token', kind: 'slow' });
    const overtaken = call(stage.service, 'overtaken');
    await until(() => stage.simulator.callsTo('token', 'refresh_token').length === 3);
    await disconnect(stage.service, 'overtaken');
    release();
    await overtaken;
    expect(await grow()).toMatchObject({
      'accounting_token_refreshes_total{outcome="revoked"}': 1,
      'accounting_token_refreshes_total{outcome="rotation_lost"}': 1,
      'accounting_token_refreshes_total{outcome="superseded"}': 1,
    });
  });

  it.each<[outcome: string, fault: Omit<Fault, 'on'> | undefined]>([
    ['success', undefined],
    ['provider_unavailable', { kind: 'status', status: 503 }],
    ['provider_unavailable', { kind: 'hang' }],
    ['provider_error', { kind: 'html' }],
    ['provider_error', { kind: 'invalid_client' }], // the last: no refresh is tried for a while after it
  ])('count a refresh as %s (%j)', async (outcome, fault) => {
    const organization = `refresh-${fault?.kind ?? 'plain'}`;
    await connect(stage.service, stage.simulator, organization, { realmId: '3' });
    await expire(stage, organization);
    if (fault) stage.simulator.fail({ ...fault, on: 'token' } as Fault);
    const grow = await growth();
    await call(stage.service, organization);
    expect(await grow()).toMatchObject({
      [`accounting_token_refreshes_total{outcome="${outcome}"}`]: 1,
      accounting_token_refresh_duration_seconds_count: 1,
      accounting_token_refresh_lease_wait_seconds_count: 1,
    });
  });

  it('count the worker’s rounds', async () => {
    const grow = await growth();
    await stage.service.context.worker.tick();
    expect(await grow()).toMatchObject({
      'accounting_worker_runs_total{task="connections",outcome="ok"}': 1,
      'accounting_worker_runs_total{task="revocations",outcome="ok"}': 1,
      'accounting_worker_runs_total{task="webhooks",outcome="ok"}': 1,
      'accounting_worker_runs_total{task="clean-up",outcome="ok"}': 1,
    });
  });

  it('name no organization and no company', async () => {
    const { text } = await stage.service.http.get('/metrics');
    expect(text).not.toMatch(/acme|classes|rotated|overtaken|realm/);
    expect(text.match(/\w+="[^"]*"/g)?.filter((label) => !LABELS.test(label))).toEqual([]);
  });

  itKeptSecrets(stage);

  /** What the metrics have gained since. */
  async function growth(): Promise<() => Promise<Record<string, number>>> {
    const before = await scrape(stage.service);
    return async () => {
      const now = await scrape(stage.service);
      return Object.fromEntries(Object.entries(now).map(([name, value]) => [name, value - (before[name] ?? 0)]));
    };
  }
});

function requests(method: string, route: string, status: number): string {
  return `http_request_duration_seconds_count{method="${method}",route="${route}",status="${status}"}`;
}

const LABELS = /^(method|route|status|status_class|outcome|state|task|le)="(?!\d{4,})[\w+./:* -]*"$/;
