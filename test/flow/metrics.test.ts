import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Fault } from '../../dev/intuit-simulator/faults.ts';
import { createSqlite } from '../support/databases.ts';
import { call } from '../support/gateway.ts';
import { SECONDS, useHarness } from '../support/harness.ts';
import { scrape } from '../support/metrics.ts';
import { callback, PREFIX } from '../support/requests.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { connect, consent, disconnect } from '../support/service.ts';
import { until } from '../support/until.ts';
import { startWebhookReceiver, type WebhookReceiver } from '../support/webhook-receiver.ts';

describe('the metrics', () => {
  const env: Record<string, string> = {};
  let receiver: WebhookReceiver;
  beforeAll(async () => {
    receiver = await startWebhookReceiver();
    Object.assign(env, receiver.env);
  });
  const harness = useHarness(createSqlite, { env });
  afterAll(() => receiver.close());

  it('are Prometheus’ text, public, and readable only by GET and HEAD', async () => {
    const { http } = harness.service;
    const { headers, text } = await http.get('/metrics').expect(200);
    expect(headers).toMatchObject({
      'content-type': expect.stringMatching(/^text\/plain; version=0\.0\.4/),
      'cache-control': 'no-cache, no-store',
    });
    expect(text).toContain('# TYPE http_request_duration_seconds histogram');
    await http.head('/metrics').expect(200);
    const rejected = await http.post('/metrics').expect(405);
    expect(rejected.headers['allow']).toBe('GET, HEAD');
  });

  it('count connects and callbacks by their outcome', async () => {
    const { service, simulator } = harness;
    const growth = await startGrowth();
    await service.http.post(`${PREFIX}/connect/acme`).expect(201);
    await service.http.get(`${PREFIX}/connect/no!`).expect(400);
    await connect(service, simulator, 'acme', { realmId: '1' });
    await callback(service, await consent(service, simulator, 'acme', { consent: false }));
    await service.http.get(`${PREFIX}/callback?state=forged&code=x&realmId=1`).expect(400);
    expect(await growth()).toMatchObject({
      'accounting_connects_total{outcome="link_issued"}': 1,
      'accounting_connects_total{outcome="redirected"}': 2,
      'accounting_connects_total{outcome="invalid_request"}': 1,
      'accounting_callbacks_total{outcome="connected"}': 1,
      'accounting_callbacks_total{outcome="consent_refused"}': 1,
      'accounting_callbacks_total{outcome="invalid_state"}': 1,
    });
  });

  it('measure requests by the pattern of their route', async () => {
    const { service } = harness;
    const growth = await startGrowth();
    await service.http.get(`${PREFIX}/status/acme`).expect(200);
    await service.http.get(`${PREFIX}/status/${'x'.repeat(37)}`).expect(400);
    await service.http.get('/nowhere/acme').expect(404);
    await call(service, 'acme', 'companyinfo/1');
    expect(await growth()).toMatchObject({
      [requests('GET', `${PREFIX}/status/:organization_id`, 200)]: 1,
      [requests('GET', `${PREFIX}/status/:organization_id`, 400)]: 1,
      [requests('GET', 'unmatched', 404)]: 1,
      [requests('GET', '/api/v1/quickbooks/:organization_id/*resource', 200)]: 1,
    });
  });

  it('have no label that a caller chooses: neither the case of a path nor an unknown method', async () => {
    const { service } = harness;
    const growth = await startGrowth();
    await service.http.get(`/API/v1/OAuth/quickbooks/status/acme`).expect(200);
    await service.http.purge('/healthz').expect(405);
    expect(await growth()).toMatchObject({
      [requests('GET', `${PREFIX}/status/:organization_id`, 200)]: 1,
      [requests('other', '/healthz', 405)]: 1,
    });
    expect(JSON.stringify(await current())).not.toMatch(/OAuth|PURGE/);
  });

  it('count gateway requests by the class of their status, and those whose caller left', async () => {
    const { service, simulator } = harness;
    const growth = await startGrowth();
    await harness.connect('classes', '2');
    expect((await call(service, 'classes')).status).toBe(200);
    expect((await call(service, 'unknown')).status).toBe(404);
    simulator.fail({ on: 'api', kind: 'status', status: 500 });
    expect((await call(service, 'classes')).status).toBe(500);
    simulator.fail({ on: 'api', kind: 'hang' });
    simulator.resetCalls();
    const leaving = new AbortController();
    const abandoned = call(service, 'classes', undefined, { signal: leaving.signal }).catch(() => undefined);
    await until(() => simulator.callsTo('api').length > 0);
    leaving.abort();
    await abandoned;
    const sum = (status: string) => `accounting_gateway_requests_total{status_class="${status}"}`;
    await until(async () => (await growth())[sum('aborted')]);
    expect(await growth()).toMatchObject({ [sum('2xx')]: 1, [sum('4xx')]: 1, [sum('5xx')]: 1, [sum('aborted')]: 1 });
  });

  it('count rejected refreshes by their reason, and refreshes that a disconnect superseded', async () => {
    const { service, simulator } = harness;
    const growth = await startGrowth();
    await harness.connect('revoked', '4');
    simulator.revokeGrant('4');
    await harness.expire('revoked');
    await call(service, 'revoked');

    await harness.connect('rotated', '5');
    simulator.revokeGrant('5');
    await harness.expire('rotated');
    await harness.set('rotated', { refresh_started_at: harness.clock.now() });
    await call(service, 'rotated');

    await harness.connect('ended', '6');
    await harness.expire('ended');
    const release = simulator.hold({ on: 'token', kind: 'slow' });
    const pending = call(service, 'ended');
    await until(() => harness.refreshes() === 1);
    await disconnect(service, 'ended');
    release();
    await pending;
    expect(await growth()).toMatchObject({
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
    ['provider_error', { kind: 'invalid_client' }],
  ])('count a refresh as %s (%j)', async (outcome, fault) => {
    const { service, simulator, clock } = harness;
    const organization = `refresh-${fault?.kind ?? 'plain'}`;
    await harness.connect(organization, '3');
    await harness.expire(organization);
    if (fault) simulator.fail({ ...fault, on: 'token' } as Fault);
    const growth = await startGrowth();
    const pending = call(service, organization);
    await until(() => harness.refreshes() === 1);
    if (fault?.kind === 'hang') clock.advance(10 * SECONDS);
    await pending;
    expect(await growth()).toMatchObject({
      [`accounting_token_refreshes_total{outcome="${outcome}"}`]: 1,
      accounting_token_refresh_duration_seconds_count: 1,
      accounting_token_refresh_lease_wait_seconds_count: 1,
    });
  });

  it('count the runs of each of the worker’s jobs', async () => {
    const growth = await startGrowth();
    await harness.home.worker.tick();
    expect(await growth()).toMatchObject({
      'accounting_worker_runs_total{task="maintenance",outcome="ok"}': 1,
      'accounting_worker_runs_total{task="revocations",outcome="ok"}': 1,
      'accounting_worker_runs_total{task="webhooks",outcome="ok"}': 1,
      'accounting_worker_runs_total{task="clean-up",outcome="ok"}': 1,
    });
  });

  it('contain no organization and no company', async () => {
    const { text } = await harness.service.http.get('/metrics');
    expect(text).not.toMatch(/acme|classes|rotated|ended|realm/);
    expect(text.match(/\w+="[^"]*"/g)?.filter((label) => !LABELS.test(label))).toEqual([]);
  });

  itKeptSecrets(harness);

  /** Each metric, rendered anew. */
  async function current(): Promise<Record<string, number>> {
    harness.clock.advance(1 * SECONDS);
    return scrape(harness.service);
  }

  /** Returns a function that returns how much each metric has grown since. */
  async function startGrowth(): Promise<() => Promise<Record<string, number>>> {
    const before = await current();
    return async () => {
      const now = await current();
      return Object.fromEntries(Object.entries(now).map(([name, value]) => [name, value - (before[name] ?? 0)]));
    };
  }
});

function requests(method: string, route: string, status: number): string {
  return `http_request_duration_seconds_count{method="${method}",route="${route}",status="${status}"}`;
}

const LABELS = /^(method|route|status|status_class|outcome|state|task|le)="(?!\d{4,})[\w+./:* -]*"$/;
