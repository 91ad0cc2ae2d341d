import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { connect as connectSocket, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type IntuitSimulator, startIntuitSimulator } from '../dev/intuit-simulator/simulator.ts';
import { describeEachDatabase } from './support/databases.ts';
import { environment, FRONTEND_URL } from './support/environment.ts';
import { scrape } from './support/metrics.ts';
import type { TestDatabase } from './support/own-database.ts';
import { emptyFolder, printed, projectFile, runServer, runToEnd, startProcess } from './support/processes.ts';
import { callback } from './support/requests.ts';
import { secretsOfCalls } from './support/secrets.ts';
import { consent, status } from './support/service.ts';
import { until } from './support/until.ts';

const SERVER = 'dist/src/server.js';
if (!existsSync(projectFile(SERVER))) throw new Error('Run `npm run build` first: these tests run what it built.');

let simulator: IntuitSimulator;
beforeAll(async () => {
  simulator = await startIntuitSimulator();
});
afterAll(() => simulator.close());

describeEachDatabase('the built service', (createDatabase) => {
  let database: TestDatabase;
  let env: Record<string, string>;

  beforeAll(async () => {
    database = await createDatabase();
    env = { ...environment(database.url, simulator), NODE_ENV: 'production', PROVIDER_TIMEOUT_MS: '10000' };
    const { code } = await runToEnd('bin/run.js', ['migrate', 'latest'], { DATABASE_URL: database.url });
    expect(code).toBe(0);
  });
  afterAll(() => database.drop());

  it('completes a callback that is in flight at SIGTERM, stores the connection and exits with 0', async () => {
    const server = await runServer(env);
    const flow = await consent(server, simulator, 'acme');
    simulator.resetCalls();
    const release = simulator.hold({ on: 'token', kind: 'slow' });
    const response = callback(server, flow);
    await until(() => simulator.callsTo('token').length > 0);
    const ended = server.kill('SIGTERM');
    await printed(server, /"msg":"stopping"/);
    release();
    const location = `${FRONTEND_URL}/settings/integrations?connected=true&system=quickbooks`;
    expect(await response).toMatchObject({ status: 302, headers: { location, connection: 'close' } });
    expect(await ended).toBe(0);
    expect(server.stderr()).toBe('');
    const lines = server.stdout().trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).msg)).toEqual(
      expect.arrayContaining(['listening', 'stopping', 'stopped']),
    );
    for (const secret of secretsOfCalls(simulator.calls, simulator)) expect(server.stdout()).not.toContain(secret);

    const restarted = await runServer(env);
    expect(await status(restarted, 'acme')).toMatchObject({ connected: true });
    expect(await scrape(restarted)).toMatchObject({
      accounting_database_up: 1,
      'accounting_connections{state="active"}': 1,
      process_resident_memory_bytes: expect.any(Number),
      nodejs_eventloop_lag_p99_seconds: expect.any(Number),
    });
    expect(await restarted.kill('SIGINT')).toBe(0);
  });

  it('exits with 1 if a call is in flight for longer than a shutdown may take', async () => {
    const server = await runServer({ ...env, GATEWAY_TIMEOUT_MS: '300000' });
    await callback(server, await consent(server, simulator, 'unfinished', { realmId: '4711' }));
    simulator.resetCalls();
    const release = simulator.hold({ on: 'api', kind: 'slow' });
    const call = fetch(`${server.origin}/api/v1/quickbooks/unfinished/invoice/1`).catch(() => 'cut off');
    await until(() => simulator.callsTo('api').length > 0);
    expect(await server.kill('SIGTERM')).toBe(1);
    expect(server.stdout()).toContain('stopped with work unfinished');
    expect(await call).toBe('cut off');
    release();
  });

  it('opens no debugger at SIGUSR1', async () => {
    const server = await runServer(env);
    process.kill(server.pid, 'SIGUSR1');
    expect((await fetch(`${server.origin}/healthz`)).status).toBe(200);
    expect(await server.kill('SIGTERM')).toBe(0);
    expect(server.stderr()).toBe('');
  });
});

describe('the process', () => {
  let env: Record<string, string>;
  beforeAll(() => {
    env = { ...environment('sqlite::memory:', simulator), HOST: '127.0.0.1' };
  });

  it('serves /metrics only on METRICS_PORT if it is set, and nothing else there', async () => {
    const server = await runServer({ ...env, METRICS_PORT: '0' });
    const listening = () => [...server.stdout().matchAll(/"port":(\d+)\}.*"msg":"listening"/g)].map(([, port]) => port);
    await until(() => listening().length === 2);
    const status = async (port: string | undefined, path: string) =>
      (await fetch(`http://127.0.0.1:${port}${path}`)).status;
    const [main, metrics] = listening();
    expect([await status(main, '/metrics'), await status(main, '/healthz')]).toEqual([404, 200]);
    expect([await status(metrics, '/metrics'), await status(metrics, '/healthz')]).toEqual([200, 404]);
    expect(await status(metrics, '/api/v1/oauth/quickbooks/status/acme')).toBe(404);
    expect(await server.kill('SIGTERM')).toBe(0);
  });

  it('exits despite connections that are idle or never sent a request', async () => {
    const server = await runServer(env);
    const agent = new Agent({ keepAlive: true });
    await new Promise((resolve) =>
      get(`${server.origin}/healthz`, { agent }, (response) => response.resume().on('end', resolve)),
    );
    const unused = connectSocket(Number(new URL(server.origin).port), '127.0.0.1').on('error', () => undefined);
    await new Promise((resolve) => unused.on('connect', resolve));
    expect(await server.kill('SIGTERM')).toBe(0);
    expect(server.stdout()).not.toContain('work unfinished');
    agent.destroy();
    unused.destroy();
  });

  it('serves, and exits with 0 at SIGTERM, although its standard output is not read', async () => {
    const { port, origin } = await freePort();
    const server = startProcess({
      args: [projectFile(SERVER)],
      env: { ...env, PORT: String(port), LOG_LEVEL: 'info' },
      stdoutFile: 'unread',
    });
    await until(() => responds(origin));
    await logMoreThanAPipeHolds(origin);
    expect(await server.kill('SIGTERM')).toBe(0);
  });

  it('serves, and exits with 0 at SIGTERM, although its standard output is a terminal that is not read', async () => {
    const { port, origin } = await freePort();
    const folder = emptyFolder();
    const databaseUrl = `sqlite:${join(folder, 'database')}`;
    expect((await runToEnd('bin/run.js', ['migrate', 'latest'], { DATABASE_URL: databaseUrl })).code).toBe(0);
    const [pidFile, codeFile] = [join(folder, 'pid'), join(folder, 'code')];
    const node = `${process.execPath} ${projectFile(SERVER)} & echo $! >${pidFile}; wait $!; echo $? >${codeFile}`;
    const terminal = startProcess({
      command: 'script', // does not read the terminal while what it prints is not read
      args: ['--quiet', '--command', node, '/dev/null'],
      env: { ...env, DATABASE_URL: databaseUrl, PORT: String(port), LOG_LEVEL: 'info', NODE_ENV: 'production' },
      stdoutFile: 'unread',
    });
    await until(() => responds(origin));
    await logMoreThanAPipeHolds(origin);
    process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGTERM');
    await until(() => existsSync(codeFile));
    await until(() => readFileSync(codeFile, 'utf8') === '0\n');
    await terminal.kill('SIGKILL');
  });

  it('serves, and exits with 0 at SIGTERM, although its standard output is a full disk', async () => {
    const { port, origin } = await freePort();
    const server = startProcess({
      args: [projectFile(SERVER)],
      env: { ...env, PORT: String(port), LOG_LEVEL: 'info' },
      stdoutFile: '/dev/full',
    });
    await until(() => responds(origin));
    expect(await server.kill('SIGTERM')).toBe(0);
  });

  it('exits with 0 at SIGTERM as the README starts it: without a process in between that would not pass the signal on', async () => {
    const args = readmeArguments();
    expect(args.at(-1)).toBe(projectFile(SERVER));
    const server = await runServer(env, { args });
    expect(await server.kill('SIGTERM')).toBe(0);
    expect(server.stdout()).toContain('"msg":"stopped"');
  });

  it('serves for SHUTDOWN_DELAY_MS after SIGTERM, while it is not ready', async () => {
    const server = await runServer({ ...env, SHUTDOWN_DELAY_MS: '300000' });
    const ended = server.kill('SIGTERM');
    await printed(server, /"msg":"stopping"/);
    const readiness = await fetch(`${server.origin}/readyz`);
    expect([readiness.status, await readiness.json()]).toEqual([503, expect.objectContaining({ status: 'stopping' })]);
    for (let call = 0; call < 3; call += 1) {
      const response = await fetch(`${server.origin}/api/v1/oauth/quickbooks/connect/acme`, { redirect: 'manual' });
      expect([response.status, response.headers.get('connection')]).toEqual([302, 'keep-alive']);
      await response.text();
    }
    await server.kill('SIGKILL');
    expect(await ended).toBe('SIGKILL');
  });

  it('exits with 0 after SHUTDOWN_DELAY_MS', async () => {
    const server = await runServer({ ...env, SHUTDOWN_DELAY_MS: '100' });
    expect(await server.kill('SIGTERM')).toBe(0);
  });

  it('keeps idle connections open for KEEP_ALIVE_TIMEOUT_MS', async () => {
    const server = await runServer({ ...env, KEEP_ALIVE_TIMEOUT_MS: '70000' });
    expect((await fetch(`${server.origin}/healthz`)).headers.get('keep-alive')).toBe('timeout=70');
    await server.kill('SIGKILL');
  });

  it('reports each invalid variable in one line on stderr, without its value, and exits with 1', async () => {
    const invalid = { ...env, PORT: 'canary', ENCRYPTION_KEY: 'canary', FRONTEND_URL: 'canary' };
    const { code, stdout, stderr } = await runToEnd(SERVER, [], invalid);
    expect([code, stdout]).toEqual([1, '']);
    const names = stderr
      .trimEnd()
      .split('\n')
      .map((line) => line.split(' ')[0]);
    expect(names.sort()).toEqual(['ENCRYPTION_KEY', 'FRONTEND_URL', 'PORT']);
    expect(stderr).not.toContain('canary');
  });

  it('reads the .env file of its working directory, over which the environment takes precedence', async () => {
    const folder = emptyFolder();
    writeFileSync(join(folder, '.env'), 'LOG_LEVEL=loud\nPORT=canary\n');
    const { code, stderr } = await runToEnd(SERVER, [], { ...env, LOG_LEVEL: 'info' }, folder);
    expect([code, stderr.trim().split('\n').length, stderr.split(' ')[0]]).toEqual([1, 1, 'PORT']);
  });

  it.each<[string, (file: string) => void, string]>([
    ['is not UTF-8', (file) => writeFileSync(file, Buffer.from([0xff, 0xfe])), '.env is not UTF-8 text'],
    ['is a folder', mkdirSync, '.env is a folder'],
  ])('reports in one line that the .env file %s, as the README starts it', async (_, create, problem) => {
    const cwd = emptyFolder();
    create(join(cwd, '.env'));
    const server = startProcess({ args: readmeArguments(), env, cwd });
    expect([await server.ended, server.stderr()]).toEqual([1, expect.stringMatching(`^${problem}.*\n$`)]);
  });

  it('reports a port that is in use without a stack trace, and exits with 1', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.on('listening', resolve));
    const { port } = other.address() as { port: number };
    const { code, stderr } = await runToEnd(SERVER, [], { ...env, PORT: String(port) });
    other.close();
    expect([code, stderr]).toEqual([
      1,
      `Port ${port} on 127.0.0.1 is already in use. Stop the process that uses it, or choose another port in PORT.\n`,
    ]);
  });

  it('reports an unreachable database in one line, and exits with 1', async () => {
    const { code, stderr } = await runToEnd(SERVER, [], {
      ...env,
      DATABASE_URL: 'mysql://root:canary@127.0.0.1:1/none',
    });
    expect([code, stderr.trimEnd().split('\n').length]).toEqual([1, 1]);
    expect(stderr).toMatch(/database/i);
    expect(stderr).not.toContain('canary');
  });
});

/** The arguments of node in the command by which the README starts the service. */
function readmeArguments(): string[] {
  const [, command = ''] = /^node (.* dist\/\S+)/m.exec(readFileSync(projectFile('README.md'), 'utf8')) ?? [];
  return command.split(' ').map((argument) => (argument.endsWith('.js') ? projectFile(argument) : argument));
}

async function freePort(): Promise<{ port: number; origin: string }> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.on('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return { port, origin: `http://127.0.0.1:${port}` };
}

async function responds(origin: string): Promise<boolean> {
  return fetch(`${origin}/healthz`).then(
    ({ ok }) => ok,
    () => false,
  );
}

/** The access log of these calls is more than a pipe or a terminal holds. */
async function logMoreThanAPipeHolds(origin: string): Promise<void> {
  const id = 'x'.repeat(128); // in every line
  for (let batch = 0; batch < 40; batch += 1) {
    const calls = Array.from({ length: 50 }, () => fetch(`${origin}/healthz`, { headers: { 'X-Request-Id': id } }));
    expect(new Set((await Promise.all(calls)).map(({ status }) => status))).toEqual(new Set([200]));
  }
}
