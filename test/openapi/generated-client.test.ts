import { execFile } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createSqlite } from '../support/databases.ts';
import { useHarness } from '../support/harness.ts';
import { connect } from '../support/service.ts';

const run = promisify(execFile);

describe('a client generated from the OpenAPI document by openapi-typescript', () => {
  const harness = useHarness(createSqlite);
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'generated-client-'));
    await symlink(join(process.cwd(), 'node_modules'), join(folder, 'node_modules'));
    await writeFile(join(folder, 'package.json'), '{"type":"module"}');
    const { text } = await harness.service.http.get('/openapi.json').expect(200);
    await writeFile(join(folder, 'openapi.json'), text);
    await node('openapi-typescript/bin/cli.js', 'openapi.json', '--output', 'service.d.ts');
  });

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it('narrows the status, and calls connect, status and the gateway with typed parameters', async () => {
    await connect(harness.service, harness.simulator, 'acme');
    await writeFile(join(folder, 'program.ts'), PROGRAM);
    await checkTypes('program.ts');
    const { stdout } = await node('tsx/dist/cli.mjs', 'program.ts', harness.service.origin);
    expect(stdout.trim().split('\n')).toEqual([
      'link: /api/v1/oauth/quickbooks/connect/acme',
      'connected to company 9341452000000001',
      'QuickBooks: 200, 200, 400',
      'not-connected: connection_not_found',
    ]);
  });

  it.each([
    ['a company ID without looking at connected', 'if (data) data.realm_id.length;'],
    ['a reason of an active connection', 'if (data?.connected) data.reason.length;'],
    [
      'an unknown query parameter',
      "await client.GET('/api/v1/oauth/quickbooks/events/{organization_id}', { params: { path, query: { first: 1 } } });",
    ],
    [
      'an unknown field of the link',
      "await client.POST('/api/v1/oauth/quickbooks/connect/{organization_id}', { params: { path }, body: { url: 'https://a.test' } });",
    ],
  ])('does not compile a program that uses %s', async (_, statement) => {
    await writeFile(join(folder, 'wrong.ts'), `${STATUS}\n${statement}\n`);
    await expect(checkTypes('wrong.ts')).rejects.toMatchObject({ stdout: expect.stringMatching(/error TS/) });
    await writeFile(join(folder, 'right.ts'), `${STATUS}\nif (data?.connected) data.realm_id.length;\n`);
    await checkTypes('right.ts');
  });

  const node = (script: string, ...args: string[]) =>
    run(process.execPath, [join('node_modules', script), ...args], { cwd: folder });

  /** Rejects with the compiler's output. */
  const checkTypes = (file: string) =>
    node(
      'typescript/bin/tsc',
      '--strict',
      '--noEmit',
      '--module',
      'nodenext',
      '--types',
      'node',
      '--skipLibCheck',
      file,
    );
});

const STATUS = `
import createClient from 'openapi-fetch';
import type { paths } from './service.d.ts';

const client = createClient<paths>({ baseUrl: process.argv[2] });
const path = { organization_id: 'acme' };
const { data } = await client.GET('/api/v1/oauth/quickbooks/status/{organization_id}', { params: { path } });
`;

const PROGRAM = `${STATUS}
const link = await client.POST('/api/v1/oauth/quickbooks/connect/{organization_id}', {
  params: { path },
  body: { expires_in: 600, realm_id: '9341452000000001' },
});
if (link.data) console.log('link:', new URL(link.data.connect_url).pathname);

function describe(status: NonNullable<typeof data>): string {
  if (status.connected) {
    const company: string = status.realm_id;
    return 'connected to company ' + company;
  }
  if (status.needs_reauthorization) return 'lost: ' + (status.reason satisfies string);
  return 'not connected';
}
if (data) console.log(describe(data));

const found = await client.GET('/api/v1/quickbooks/{organization_id}/{resource}', {
  params: { path: { ...path, resource: 'query' }, query: { query: 'select * from Invoice', minorversion: '75' } },
});
const invoice = await client.GET('/api/v1/quickbooks/{organization_id}/{resource}/{id}', {
  params: { path: { ...path, resource: 'invoice', id: '1' } },
});
const rejected = await client.POST('/api/v1/quickbooks/{organization_id}/{resource}', {
  params: { path: { ...path, resource: 'query' }, query: { requestid: 'one' } },
  body: {},
});
console.log('QuickBooks:', [found, invoice, rejected].map(({ response }) => response.status).join(', '));

const other = await client.GET('/api/v1/quickbooks/{organization_id}/{resource}', {
  params: { path: { organization_id: 'unconnected', resource: 'query' } },
});
if (other.error && typeof other.error === 'object' && 'code' in other.error) {
  console.log('not-connected:', other.error.code);
}
`;
