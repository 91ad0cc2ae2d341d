import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import supertest from 'supertest';
import { type IntuitSimulator, startIntuitSimulator } from '../dev/intuit-simulator/simulator.ts';
import { createSqlite } from './support/databases.ts';
import type { TestDatabase } from './support/own-database.ts';
import { connect, startService, status, type TestService } from './support/service.ts';

const README = readFileSync('README.md', 'utf8');
const CURL_LINES = [...README.matchAll(/^(curl .*)$(?:\n# (.*))?/gm)];
const run = promisify(execFile);

describe('the README', () => {
  it('links only to files that exist', () => {
    const links = [...README.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, path = '']) => path);
    expect(links.length).toBeGreaterThan(10);
    expect(links.filter((path) => !existsSync(path))).toEqual([]);
  });
});

describe("the README's curl lines", () => {
  let database: TestDatabase;
  let simulator: IntuitSimulator;
  let service: TestService;

  beforeAll(async () => {
    [database, simulator] = await Promise.all([createSqlite(), startIntuitSimulator()]);
    service = await startService({ databaseUrl: database.url, simulator });
  });

  afterAll(async () => {
    await service.close();
    await simulator.close();
    await database.drop();
  });

  /** Runs the README's line that contains `text`. The output must have every complete field of the comment below it. */
  async function curl(text: string): Promise<Record<string, unknown>> {
    const [, line = '', shown = ''] = CURL_LINES.find((candidate) => candidate[1]?.includes(text)) ?? [];
    const command = line
      .replaceAll('http://localhost:8080', service.origin)
      .replaceAll('http://localhost:8090', simulator.origin);
    const { stdout } = await run('bash', ['-c', command]);
    const fields = shown.match(/"\w+":("[^"…]*"|[\w.]+)/g)?.filter((field) => !field.includes('localhost')) ?? [];
    expect(fields.filter((field) => !stdout.includes(field))).toEqual([]);
    return stdout ? JSON.parse(stdout) : {};
  }

  it('connect an organization, read its status, call QuickBooks and disconnect it', async () => {
    const { connect_url } = await curl('/connect/acme');
    const link = new URL(String(connect_url));
    const consent = await supertest(service.origin).get(`${link.pathname}${link.search}`).expect(302);
    const callback = new URL(await simulator.authorize(consent.headers['location'] ?? ''));
    const cookie = String(consent.headers['set-cookie']).split(';')[0] ?? '';
    await supertest(service.origin).get(`${callback.pathname}${callback.search}`).set('Cookie', cookie).expect(302);

    expect(await curl('/status/acme')).toMatchObject({ connected: true, company_name: 'Sandbox Company_US_1' });
    expect(await curl('/query?')).toMatchObject({ QueryResponse: { maxResults: 3 } });
    expect(await curl('/events/acme')).toMatchObject({ events: [{ type: 'connected' }], next: null });
    expect(await curl('/disconnect/acme')).toEqual({ success: true, message: 'Disconnected successfully' });
    expect(CURL_LINES).toHaveLength(7);
  });

  it('make an API call fail, and revoke a connection', async () => {
    await connect(service, simulator, 'acme');
    await curl('/simulator/faults');
    const query = `${service.origin}/api/v1/quickbooks/acme/query?query=select%20*%20from%20Invoice`;
    expect((await fetch(query)).status).toBe(503);
    expect((await fetch(query)).status).toBe(200);
    await curl('/simulator/revoke/9341452000000001');
    expect((await fetch(query)).status).toBe(409);
    expect(await status(service, 'acme')).toMatchObject({ connected: false, reason: 'authorization_revoked' });
  });
});
