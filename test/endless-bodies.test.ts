import { existsSync, readFileSync } from 'node:fs';
import { connect as connectSocket, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type IntuitSimulator, startIntuitSimulator } from '../dev/intuit-simulator/simulator.ts';
import { environment } from './support/environment.ts';
import { call } from './support/gateway.ts';
import { projectFile, runServer, type ServiceProcess } from './support/processes.ts';
import { connect, status } from './support/service.ts';
import { until } from './support/until.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const MAX_GROWTH = 150 * MIB;
/** What is reserved for a body whose length is not known. */
const RESERVED = 1.25 * MIB;
const ORGANIZATIONS = ['acme', 'globex', 'initech'];

/** Only Linux shows the largest memory that a process has had. */
const suite = existsSync('/proc/self/status') ? describe : describe.skip;

suite('the built service, while bodies arrive that never end,', () => {
  let simulator: IntuitSimulator;
  let service: ServiceProcess;
  let bodies: EndlessBody[];
  beforeAll(async () => {
    simulator = await startIntuitSimulator();
  });
  afterAll(() => simulator.close());

  beforeEach(async () => {
    const [, command = ''] = /^node (.* dist\/\S+)/m.exec(readFileSync(projectFile('README.md'), 'utf8')) ?? [];
    const args = command.split(' ').map((arg) => (arg.endsWith('.js') ? projectFile(arg) : arg));
    service = await runServer({ ...environment('sqlite::memory:', simulator), LOG_LEVEL: 'info' }, { args });
    for (const organization of [...ORGANIZATIONS, 'another']) {
      await connect(service, simulator, organization);
      expect(await use(organization)).toEqual([200, 200]);
    }
  });
  afterEach(async () => {
    for (const { socket } of bodies) socket.destroy();
    await service.kill('SIGKILL');
  });

  it.each([
    ['590 of one organization, kept for a second attempt', 590, ['acme'], MIB, 64 * KIB],
    ['590 of one organization, streamed', 590, ['acme'], 2 * MIB, 64 * KIB],
    ['590 of several organizations', 590, ORGANIZATIONS, MIB, 64 * KIB],
    ['in chunks of a few bytes, kept', 25, ['acme'], MIB, 8],
    ['in chunks of a few bytes, streamed', 25, ['acme'], MIB + 64 * KIB, 16],
  ])('needs little memory and serves other callers: %s', async (_, count, organizations, bytes, chunkBytes) => {
    const before = peakMemory();
    const beginning = chunked(bytes, chunkBytes);
    const { port } = new URL(service.origin);
    bodies = Array.from({ length: count }, () => new EndlessBody(Number(port)));
    for (const [index, body] of bodies.entries()) {
      body.begin(`/v3/company/${organizations[index % organizations.length]}/echo`, beginning);
    }
    const accepted = Math.min(count, Math.floor(Math.min(organizations.length * 32 * MIB, 64 * MIB) / RESERVED));
    await until(() => bodies.filter(({ status }) => status === '503').length === count - accepted);
    expect(await use('another')).toEqual([200, 200]);
    expect(await status(service, 'acme')).toMatchObject({ connected: true });

    for (const body of bodies.filter((each) => each.status === undefined)) body.end(); // shows that they were received
    await until(() => bodies.filter(({ status }) => status === '200').length === accepted);
    const growth = peakMemory() - before;
    expect(growth).toBeLessThan(MAX_GROWTH);
    expect(await use('acme')).toEqual([200, 200]);
  });

  /** Makes calls through the gateway. Returns the statuses of a GET and of a POST. */
  async function use(organization: string): Promise<number[]> {
    const body = Buffer.alloc(200 * KIB, 'x');
    const calls = [call(service, organization), call(service, organization, 'echo', { method: 'POST', body })];
    const responses = await Promise.all(calls);
    await Promise.all(responses.map((response) => response.arrayBuffer()));
    return responses.map(({ status }) => status);
  }

  /** The largest memory that the service has had so far, in bytes. */
  function peakMemory(): number {
    const [, kibibytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${service.pid}/status`, 'utf8')) ?? [];
    return Number(kibibytes) * KIB;
  }
});

/** A request whose body does not end by itself. */
class EndlessBody {
  /** Of the response. */
  status: string | undefined;
  readonly socket: Socket;

  constructor(port: number) {
    this.socket = connectSocket(port, '127.0.0.1');
    this.socket
      .on('error', () => undefined)
      .on('data', (data) => {
        this.status ??= /^HTTP\/1\.1 (\d+)/.exec(data.toString('latin1'))?.[1];
      });
  }

  begin(path: string, beginning: Buffer): void {
    this.socket.write(`POST ${path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n`);
    this.socket.write(beginning);
  }

  end(): void {
    this.socket.write('0\r\n\r\n');
  }
}

/** The beginning of a body, in the format of HTTP's chunks. */
function chunked(bytes: number, chunkBytes: number): Buffer {
  const chunk = `${chunkBytes.toString(16)}\r\n${'x'.repeat(chunkBytes)}\r\n`;
  return Buffer.from(chunk.repeat(bytes / chunkBytes));
}
