import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type IntuitSimulator, startIntuitSimulator } from '../dev/intuit-simulator/simulator.ts';
import { loadConfig } from '../src/config/config.ts';
import { openKnex } from '../src/db/session.ts';
import { createSqlite, describeEachDatabase } from './support/databases.ts';
import { environment } from './support/environment.ts';
import { type OtlpReceiver, startOtlpReceiver } from './support/otlp-receiver.ts';
import type { TestDatabase } from './support/own-database.ts';
import { projectFile, runServer, type ServiceProcess, startProcess } from './support/processes.ts';
import { PREFIX } from './support/requests.ts';
import { send } from './support/send.ts';
import { closedPort } from './support/tcp-relay.ts';
import { until } from './support/until.ts';

const REGISTER = projectFile('dist/src/tracing/register.js');
const ARGS = ['--import', REGISTER, projectFile('dist/src/server.js')];
const HOST = { Host: 'localhost:8080' };
const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';

describeEachDatabase('the traces of the built service', (createDatabase, kind) => {
  let database: TestDatabase;
  let simulator: IntuitSimulator;
  let receiver: OtlpReceiver;
  let service: ServiceProcess;
  beforeAll(async () => {
    [database, simulator, receiver] = await Promise.all([
      createDatabase(),
      startIntuitSimulator(),
      startOtlpReceiver(),
    ]);
    service = await runServer(
      {
        ...environment(database.url, simulator),
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
        OTEL_BSP_SCHEDULE_DELAY: '100',
      },
      { args: ARGS },
    );
  });
  afterAll(async () => {
    await service?.kill('SIGKILL');
    await Promise.all([receiver?.close(), simulator?.close()]);
    await database?.drop();
  });

  it('show connect, callback and the call for the tokens as one trace, without what it was about', async () => {
    const started = await get(`${PREFIX}/connect/acme-canary`);
    const callback = new URL(await simulator.authorize(String(started.headers['location']), { realmId: '4620816365' }));
    const cookies = [started.headers['set-cookie']].flat().map((cookie) => String(cookie).split(';')[0]);
    const { headers } = await get(callback.pathname + callback.search, { Cookie: cookies.join('; ') });
    expect(headers['location']).toContain('connected=true');

    const connect = await span(`GET ${PREFIX}/connect/:organization_id`);
    const called = await span(`GET ${PREFIX}/callback`);
    const token = await span('POST 127.0.0.1');
    expect([called.traceId, token.traceId]).toEqual([connect.traceId, connect.traceId]);
    expect([called.parentSpanId, token.parentSpanId]).toEqual([connect.spanId, called.spanId]);
    expect(token.attributes).toMatchObject({ 'http.response.status_code': '200', 'server.address': '127.0.0.1' });
    if (kind !== 'SQLite') {
      const statement = await span('insert oauth_states');
      expect(statement.traceId).toBe(connect.traceId);
      expect(statement.attributes['db.query.text']).toMatch(/^insert into `\w+` \(.*values \(\?/);
    }
    const sent = receiver.bodies.join();
    for (const secret of ['acme-canary', '4620816365', 'Sandbox Company', ...callback.searchParams.values()]) {
      expect(sent).not.toContain(secret);
    }
    for (const line of logLines()) expect(line.trace_id).toBe(connect.traceId);
    expect(logLines()).toHaveLength(2);
  });

  it("continue a caller's trace, of which Intuit learns nothing", async () => {
    const parent = '00f067aa0ba902b7';
    await get(`${PREFIX}/status/acme-canary?canary`, { traceparent: `00-${TRACE_ID}-${parent}-01` });
    expect(await span(`GET ${PREFIX}/status/:organization_id`)).toMatchObject({
      traceId: TRACE_ID,
      parentSpanId: parent,
    });
    await get('/api/v1/quickbooks/acme-canary/companyinfo/4620816365', { traceparent: `00-${TRACE_ID}-${parent}-01` });
    const gateway = await span('GET /api/v1/quickbooks/:organization_id/*resource');
    expect(gateway.traceId).toBe(TRACE_ID);
    expect(simulator.calls.length).toBeGreaterThan(1);
    expect(simulator.calls.filter(({ headers }) => 'traceparent' in headers)).toEqual([]);
    expect(receiver.bodies.join()).not.toContain('canary');
  });

  it('contain no probes, and nothing of a request without a route but its method and status', async () => {
    await get('/healthz');
    await get('/canary-path?canary');
    const unmatched = await span('GET unmatched');
    expect(unmatched.attributes).toMatchObject({ 'http.response.status_code': '404' });
    expect(receiver.bodies.join()).not.toContain('canary');
    expect(receiver.spans().filter(({ name }) => name.includes('healthz'))).toEqual([]);
  });

  it('are complete when the process has ended', async () => {
    const before = receiver.spans().length;
    await get(`${PREFIX}/status/last`);
    expect(await service.kill('SIGTERM')).toBe(0);
    expect(receiver.spans().length).toBeGreaterThan(before);
  });

  it("contain the worker's calls to Intuit, also if the collector's URL is quoted", async () => {
    const knex = openKnex(loadConfig(environment(database.url, simulator)).database);
    const inTenDays = new Date(Date.now() + 10 * 86_400_000);
    await knex('oauth_tokens').update({ refresh_token_expires_at: inTenDays, next_maintenance_at: new Date() });
    await knex.destroy();
    const before = receiver.spans().length;
    simulator.resetCalls();
    const env = { ...environment(database.url, simulator), OTEL_EXPORTER_OTLP_ENDPOINT: `"${receiver.url}"` };
    const worker = await runServer(env, { args: ['--import', REGISTER, projectFile('dist/src/worker.js')] });
    await until(() => simulator.calls.length > 0);
    expect(await worker.kill('SIGTERM')).toBe(0);
    const spans = receiver.spans().slice(before);
    expect(spans[0]).toMatchObject({ name: 'POST 127.0.0.1', parentSpanId: '' });
    expect(spans.filter(({ name }) => !name.endsWith(' 127.0.0.1'))).toEqual([]);
  });

  async function get(path: string, headers: Record<string, string> = {}) {
    return send(service.origin, path, { headers: { ...HOST, ...headers } });
  }

  /** Resolves with the first span of this name, once it was received. */
  async function span(name: string) {
    const find = () => receiver.spans().find((candidate) => candidate.name === name);
    await until(() => find() !== undefined);
    return find() as NonNullable<ReturnType<typeof find>>;
  }

  /** The log lines of connect and callback. */
  function logLines(): { trace_id: string }[] {
    const lines = service
      .stdout()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    return lines.filter(({ route = '' }) => /connect|callback/.test(route));
  }
});

describe('tracing', () => {
  it('continues a trace over https by a cookie that only this host can set', async () => {
    const [database, simulator, receiver] = [
      await createSqlite(),
      await startIntuitSimulator(),
      await startOtlpReceiver(),
    ];
    const env = {
      ...environment(database.url, simulator),
      QBO_REDIRECT_URI: 'https://localhost/api/v1/oauth/quickbooks/callback',
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_BSP_SCHEDULE_DELAY: '50',
    };
    const service = await runServer(env, { args: ARGS });
    const { headers } = await send(service.origin, `${PREFIX}/connect/acme`, { headers: HOST });
    const cookies = [headers['set-cookie']].flat().map(String);
    expect(cookies).toHaveLength(2);
    for (const cookie of cookies) {
      expect(cookie).toMatch(/^__Host-/);
      expect(cookie.split('; ')).toEqual(expect.arrayContaining(['Path=/', 'Secure', 'HttpOnly', 'SameSite=Lax']));
    }
    const Cookie = cookies.map((cookie) => cookie.split(';')[0]).join('; ');
    await send(service.origin, `${PREFIX}/callback`, { headers: { ...HOST, Cookie } });
    const traceOf = (name: string) => receiver.spans().find((span) => span.name === name)?.traceId;
    await until(() => traceOf(`GET ${PREFIX}/callback`) !== undefined);
    expect(traceOf(`GET ${PREFIX}/callback`)).toBe(traceOf(`GET ${PREFIX}/connect/:organization_id`));
    expect(await service.kill('SIGTERM')).toBe(0);
    await Promise.all([receiver.close(), simulator.close()]);
    await database.drop();
  });

  it.each([
    [
      'refuses connections',
      async () => ({ url: `http://127.0.0.1:${await closedPort()}`, close: async () => undefined }),
    ],
    ['does not respond', async () => startOtlpReceiver({ responds: false })],
  ])('neither delays nor logs anything if the collector %s', async (_, start) => {
    const [database, simulator, collector] = [await createSqlite(), await startIntuitSimulator(), await start()];
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '50' };
    const service = await runServer({ ...environment(database.url, simulator), ...env }, { args: ARGS });
    for (let call = 0; call < 20; call += 1) {
      expect((await send(service.origin, `${PREFIX}/status/acme`, { headers: HOST })).status).toBe(200);
    }
    expect(await service.kill('SIGTERM')).toBe(0);
    expect(service.stderr()).toBe('');
    expect(service.stdout().split('"listening"')[1]).not.toMatch(/otlp|opentelemetry|"level":[456]0/i);
    await Promise.all([collector.close(), simulator.close()]);
    await database.drop();
  });

  it('loads OpenTelemetry only if it has a destination', async () => {
    expect(await loadedModules({})).not.toMatch(/sdk-node|instrumentation/);
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${await closedPort()}` };
    expect(await loadedModules(env)).toMatch(/sdk-node.*instrumentation-undici/s);
  });
});

/** The modules of OpenTelemetry that a process has loaded once it has loaded the service. */
async function loadedModules(env: Record<string, string>): Promise<string> {
  const script = `
    import { createRequire } from 'node:module';
    await import('${projectFile('dist/src/app.js')}');
    console.log(Object.keys(createRequire('/').cache).filter((file) => file.includes('@opentelemetry')).join('\\n'));
    process.exit(0);`;
  const process = startProcess({ args: ['--import', REGISTER, '--input-type=module', '--eval', script], env });
  expect(await process.ended).toBe(0);
  return process.stdout();
}
