import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import supertest from 'supertest';
import { type IntuitSimulator, startIntuitSimulator } from '../dev/intuit-simulator/simulator.ts';
import { type Authority, createAuthority } from './support/certificates.ts';
import { AUTHORIZATION, type ConnectProxy, startConnectProxy } from './support/connect-proxy.ts';
import { bearer } from './support/credentials.ts';
import { createSqlite } from './support/databases.ts';
import { environment } from './support/environment.ts';
import { call } from './support/gateway.ts';
import { type KeySet, startKeySet } from './support/key-set.ts';
import type { TestDatabase } from './support/own-database.ts';
import { printed, projectFile, runServer, runToEnd, type ServiceProcess, startProcess } from './support/processes.ts';
import { callback, PREFIX } from './support/requests.ts';
import { readCertificate, startTlsRelay, type TlsRelay } from './support/tls-relay.ts';
import { until } from './support/until.ts';
import { startWebhookReceiver, type WebhookReceiver } from './support/webhook-receiver.ts';

/** The names of the servers, which only a proxy knows. */
const NAMES = ['tokens.example', 'revocations.example', 'quickbooks.example', 'hooks.example', 'login.example'];

describe('behind an egress proxy, with servers of a private certificate authority,', () => {
  let folder: string;
  let authority: Authority;
  let certificate: { cert: Buffer; key: Buffer };
  let simulator: IntuitSimulator;
  let receiver: WebhookReceiver;
  let keySet: KeySet;
  let relays: TlsRelay[];
  let proxy: ConnectProxy;
  let database: TestDatabase;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'egress-'));
    authority = createAuthority(folder, 'private');
    certificate = readCertificate(authority.issue('server', [...NAMES.map((name) => `DNS:${name}`), 'IP:127.0.0.1']));
    simulator = await startIntuitSimulator();
    receiver = await startWebhookReceiver();
    keySet = await startKeySet();
    const urls = [simulator.urls.tokenUrl, receiver.url, keySet.url];
    relays = await Promise.all(urls.map((url) => startTlsRelay(new URL(url).port, certificate)));
    proxy = await startConnectProxy();
    database = await createSqlite();
    expect(await runToEnd('bin/run.js', ['migrate', 'latest'], { DATABASE_URL: database.url })).toMatchObject({
      code: 0,
    });
  });
  beforeEach(() => void proxy.requests.splice(0));
  afterAll(async () => {
    for (const each of [proxy, ...relays, keySet, receiver, simulator]) await each.close();
    await database.drop();
    rmSync(folder, { recursive: true });
  });

  it.each(['http', 'https'])('the built service calls everything through an %s proxy', async (scheme) => {
    const organization = `through-${scheme}`;
    const encrypted = await startConnectProxy(certificate);
    const { url, requests } = scheme === 'https' ? encrypted : proxy;
    const server = await runServer({ ...variables(), https_proxy: url, NODE_EXTRA_CA_CERTS: authority.certificate });
    expect(await connect(server, organization)).toMatch(/connected=true/);
    const headers = bearer(await keySet.sign({ organization_id: organization }));
    expect((await call(server, organization, 'companyinfo/1', { headers })).status).toBe(200);
    await supertest(server.origin).post(`${PREFIX}/disconnect/${organization}`).set(headers).expect(200);
    await until(() => receiver.typesOf(organization).includes('disconnected'));
    expect(new Set(requests.map(({ target }) => target.replace(/:\d+$/, '')))).toEqual(new Set(NAMES));
    expect(new Set(requests.map(({ authorization }) => authorization))).toEqual(new Set([AUTHORIZATION]));
    expect(await server.kill('SIGTERM')).toBe(0);
    expect(`${server.stdout()}${server.stderr()}`).not.toMatch(/canary-proxy|p@ss|Basic/);
    await encrypted.close();
  });

  it('a refresh is decided on after the TLS handshake through the proxy, before any byte is sent', async () => {
    const [relay] = relays as [TlsRelay];
    for (const maySend of ['true', 'false']) {
      const handshakes = relay.handshakes;
      simulator.resetCalls();
      const release = proxy.hold();
      const caller = callIntuit(maySend, authority.certificate);
      await until(() => proxy.requests.length > 0);
      expect(caller.stdout()).toBe('');
      release();
      await printed(caller, /^asked\n/);
      expect(await caller.ended).toBe(0);
      // A connection that is closed at once may end before the server has noticed its handshake.
      if (maySend === 'true') expect(relay.handshakes).toBe(handshakes + 1);
      expect(JSON.parse(caller.stdout().split('\n')[1] ?? '')).toMatchObject(
        maySend === 'true' ? { status: expect.any(Number) } : { isTooLate: true },
      );
      expect(simulator.calls).toHaveLength(maySend === 'true' ? 1 : 0);
      proxy.requests.splice(0);
    }
  });

  it('nothing is sent to a server of an unknown authority, and the reason is reported', async () => {
    simulator.resetCalls();
    const caller = callIntuit('true', undefined);
    expect(await caller.ended).toBe(0);
    expect(JSON.parse(caller.stdout())).toMatchObject({
      reason: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      isOutcomeUnknown: false,
    });
    expect(simulator.calls).toEqual([]);
  });

  /** The variables of a production service that reaches each server by https, by its name. */
  function variables(): Record<string, string> {
    const { tokenUrl, revokeUrl, apiBaseUrl } = simulator.urls;
    const [intuit, hooks, login] = relays.map(({ port }) => port);
    const secure = (url: string, name: string, port = 0) => {
      const { pathname } = new URL(url);
      return `https://${name}:${port}${pathname}`;
    };
    return {
      ...environment(database.url, simulator),
      ...receiver.env,
      ...keySet.env,
      NODE_ENV: 'production',
      QBO_TOKEN_URL: secure(tokenUrl, 'tokens.example', intuit),
      QBO_REVOKE_URL: secure(revokeUrl, 'revocations.example', intuit),
      QBO_API_BASE_URL: secure(apiBaseUrl, 'quickbooks.example', intuit),
      EVENTS_WEBHOOK_URL: secure(receiver.url, 'hooks.example', hooks),
      AUTH_JWKS_URL: secure(keySet.url, 'login.example', login),
    };
  }

  /** Connects the user's organization. Returns where the browser ends. */
  async function connect({ origin }: ServiceProcess, organization: string): Promise<string> {
    const headers = bearer(await keySet.sign({ organization_id: organization }));
    const started = await supertest(origin).get(`${PREFIX}/connect/${organization}`).set(headers).expect(302);
    const { pathname, search } = new URL(await simulator.authorize(started.headers['location'] ?? ''));
    const cookie = String(started.headers['set-cookie']).split(';')[0] ?? '';
    return (await callback({ origin }, { path: `${pathname}${search}`, cookie })).headers['location'] ?? '';
  }

  /** Starts a process that calls Intuit's token endpoint. @param authorities of NODE_EXTRA_CA_CERTS */
  function callIntuit(maySend: string, authorities: string | undefined) {
    const script = projectFile('test/support/intuit-call.ts');
    const { QBO_TOKEN_URL: url = '', ...env } = variables();
    return startProcess({
      args: ['--import', import.meta.resolve('tsx'), script, url, maySend],
      env: { ...env, HTTPS_PROXY: proxy.url, ...(authorities ? { NODE_EXTRA_CA_CERTS: authorities } : {}) },
    });
  }
});
