import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import supertest from 'supertest';
import { createSqlite } from './support/databases.ts';
import { type IntuitSimulator, startIntuitSimulator } from './support/intuit-simulator/simulator.ts';
import type { TestDatabase } from './support/own-database.ts';
import { startService, type TestService } from './support/service.ts';

const README = readFileSync('README.md', 'utf8');
const CURL_LINES = [...README.matchAll(/^curl .*$/gm)].map(([line]) => line);
const run = promisify(execFile);

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

  /** What the README's line that holds `text` prints, against this test's service. */
  async function curl(text: string): Promise<Record<string, unknown>> {
    const line = CURL_LINES.find((candidate) => candidate.includes(text)) ?? '';
    const { stdout } = await run('bash', ['-c', line.replaceAll('http://localhost:8080', service.origin)]);
    return JSON.parse(stdout);
  }

  it('connect, tell the status, call QuickBooks and disconnect', async () => {
    const { connect_url } = await curl('/connect/acme');
    const link = new URL(String(connect_url));
    const consent = await supertest(service.origin).get(`${link.pathname}${link.search}`).expect(302);
    const callback = new URL(await simulator.authorize(consent.headers['location'] ?? ''));
    const cookie = String(consent.headers['set-cookie']).split(';')[0] ?? '';
    await supertest(service.origin).get(`${callback.pathname}${callback.search}`).set('Cookie', cookie).expect(302);

    expect(await curl('/status/acme')).toMatchObject({ connected: true, company_name: 'Sandbox Company_US_1' });
    expect(await curl('/query?')).toMatchObject({ QueryResponse: {} });
    expect(await curl('/events/acme')).toMatchObject({ events: [{ type: 'connected' }], next: null });
    expect(await curl('/disconnect/acme')).toEqual({ success: true, message: 'Disconnected successfully' });
    expect(CURL_LINES).toHaveLength(5);
  });
});
