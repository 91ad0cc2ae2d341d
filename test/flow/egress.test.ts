import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  AUTHORIZATION,
  behindProxy,
  type ConnectProxy,
  CREDENTIALS,
  startConnectProxy,
} from '../support/connect-proxy.ts';
import { bearer } from '../support/credentials.ts';
import { createSqlite } from '../support/databases.ts';
import { call, expectOwnError } from '../support/gateway.ts';
import { HOURS, MINUTES, SECONDS, useHarness } from '../support/harness.ts';
import { type KeySet, startKeySet } from '../support/key-set.ts';
import { scrape } from '../support/metrics.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { startService, type TestService } from '../support/service.ts';
import { until } from '../support/until.ts';
import { startWebhookReceiver, type WebhookReceiver } from '../support/webhook-receiver.ts';

const POST = { method: 'POST', body: '{}' };
/** Ways in which a proxy opens no connection, and the reason that is logged. */
const FAILURES = [
  [407, 'PROXY_407'],
  [403, 'PROXY_403'],
  [502, 'PROXY_502'],
  ['break', 'PROXY_UND_ERR_SOCKET'],
  ['hang', 'PROXY_TIMEOUT'],
] as const;

describe('a service behind an egress proxy', () => {
  const harness = useHarness(createSqlite);
  let proxy: ConnectProxy;
  let receiver: WebhookReceiver;
  let keySet: KeySet;
  let service: TestService;
  const replicas: TestService[] = [];

  beforeAll(async () => {
    proxy = await startConnectProxy();
    receiver = await startWebhookReceiver();
    keySet = await startKeySet();
    service = await start();
  });
  beforeEach(() => {
    proxy.response = 'tunnel';
    proxy.requests.splice(0);
  });
  afterAll(async () => {
    for (const replica of replicas) await replica.close();
    await keySet.close();
    await receiver.close();
    await proxy.close();
  });

  it('calls Intuit, QuickBooks and the receiver of webhooks through it, and nothing else', async () => {
    await harness.connect('used');
    await harness.expire('used');
    expect((await call(service, 'used')).status).toBe(200);
    expect((await call(service, 'used', 'invoice', POST)).status).toBe(200);
    await service.http.post('/api/v1/oauth/quickbooks/disconnect/used').expect(200);
    await service.context.worker.tick();
    expect(receiver.typesOf('used')).toContain('disconnected');
    expect([harness.refreshes(), harness.revocations()]).toEqual([1, 1]);
    const hosts = proxy.requests.map(({ target }) => target.replace(/:\d+$/, ''));
    expect(new Set(hosts)).toEqual(
      new Set(['tokens.example', 'quickbooks.example', 'revocations.example', 'hooks.example']),
    );
    expect(new Set(proxy.requests.map(({ authorization }) => authorization))).toEqual(new Set([AUTHORIZATION]));
  });

  it.each(FAILURES)(
    'keeps a connection that cannot be refreshed: the proxy responds with %s',
    async (response, reason) => {
      const organization = `refresh-${response}`;
      await harness.connect(organization);
      await harness.expire(organization);
      proxy.response = response;
      const pending = call(service, organization);
      await until(() => proxy.requests.length === 1);
      if (response === 'hang') harness.clock.advance(5 * SECONDS);
      expect(await expectOwnError(await pending, 503, 'provider_unavailable')).toMatch(/^\d+$/);
      expect(logged('token.refresh.failed', organization)).toMatchObject({ reason });
      expect(harness.refreshes()).toBe(0);
      expect(await harness.row(organization)).toMatchObject({ is_active: 1, refresh_started_at: null });

      proxy.response = 'tunnel';
      await harness.advance(10 * MINUTES);
      expect((await call(service, organization)).status).toBe(200);
    },
  );

  it.each(FAILURES)(
    'returns 503 at the gateway, for a POST too: the proxy responds with %s',
    async (response, reason) => {
      const organization = `gateway-${response}`;
      await harness.connect(organization);
      const replica = await start(); // without an open connection
      proxy.response = response;
      for (const [index, init] of [POST, {}].entries()) {
        const pending = call(replica, organization, 'invoice', init);
        await until(() => proxy.requests.length === index + 1);
        if (response === 'hang') harness.clock.advance(10 * SECONDS);
        await expectOwnError(await pending, 503, 'provider_unavailable');
        expect(logged('gateway.no_response', organization)).toMatchObject({ reason, is_sent: false });
      }
    },
  );

  it.each(FAILURES)('delivers a webhook later: the proxy responds with %s', async (response, reason) => {
    const organization = `webhook-${response}`;
    const { oauthService, worker } = (await start()).context;
    await harness.connect(organization);
    await oauthService.disconnect(harness.key(organization), 'billing');
    proxy.requests.splice(0);
    proxy.response = response;
    const ticked = worker.tick();
    await until(() => proxy.requests.length > 0);
    if (response === 'hang') harness.clock.advance(5 * SECONDS);
    await ticked;
    expect(logged('webhook.failed', organization)).toMatchObject({ reason });
    proxy.response = 'tunnel';
    harness.clock.advance(1 * HOURS);
    await worker.tick();
    expect(receiver.typesOf(organization)).toContain('disconnected');
  });

  it.each(FAILURES)(
    'accepts no JWT until the key set was fetched: the proxy responds with %s',
    async (response, reason) => {
      const replica = await start({ ...keySet.env, AUTH_JWKS_URL: behindProxy(keySet.url, 'login.example') });
      const authorization = bearer(await keySet.sign());
      const get = () => replica.http.get('/api/v1/oauth/quickbooks/status/acme').set(authorization);
      proxy.response = response;
      const pending = get().then(({ body }) => body.code);
      await until(() => proxy.requests.length > 0);
      if (response === 'hang') harness.clock.advance(2 * SECONDS);
      expect(await pending).toBe('service_unavailable');
      expect(logged('service.unavailable')).toMatchObject({ reason });
      proxy.response = 'tunnel';
      harness.clock.advance(6 * SECONDS);
      await get().expect(200);
      expect(proxy.requests.map(({ target }) => target)).toEqual(
        Array(2).fill(expect.stringMatching(/^login\.example:/)),
      );
    },
  );

  it('keeps the proxy’s credentials out of every log line, response and metric', async () => {
    const visible = [...harness.logs, JSON.stringify(service.responses), JSON.stringify(await scrape(service))];
    expect(harness.logs.filter((line) => line.includes('PROXY_407')).length).toBeGreaterThan(0);
    for (const secret of ['canary-proxy', decodeURIComponent(CREDENTIALS.password), AUTHORIZATION.slice(6)]) {
      expect(visible.filter((text) => text.includes(secret))).toEqual([]);
    }
  });

  itKeptSecrets(harness);

  /** Starts a service that can reach nothing but through the proxy. */
  async function start(env: Record<string, string> = {}): Promise<TestService> {
    const { database, simulator, clock, logs } = harness;
    const { tokenUrl, revokeUrl, apiBaseUrl } = simulator.urls;
    const variables = {
      HTTP_PROXY: proxy.url,
      QBO_TOKEN_URL: behindProxy(tokenUrl, 'tokens.example'),
      QBO_REVOKE_URL: behindProxy(revokeUrl, 'revocations.example'),
      QBO_API_BASE_URL: behindProxy(apiBaseUrl, 'quickbooks.example'),
      EVENTS_WEBHOOK_URL: behindProxy(receiver.url, 'hooks.example'),
      EVENTS_WEBHOOK_SECRET: receiver.secret,
      ...env,
    };
    const replica = await startService({ databaseUrl: database.url, simulator, clock, logs, env: variables });
    replicas.push(replica);
    return replica;
  }

  /** The last log line of an event. @param text that the line contains */
  function logged(event: string, text = ''): Record<string, unknown> {
    const line = harness.logs.findLast((each) => each.includes(`"event":"${event}"`) && each.includes(text));
    return JSON.parse(line ?? '{}');
  }
});
