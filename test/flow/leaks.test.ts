import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { contentsOf } from '../support/canaries.ts';
import { describeOnServer } from '../support/databases.ts';
import { LeakEnvironment } from '../support/leak-environment.ts';
import { requestEverything } from '../support/leak-traffic.ts';

describeOnServer('the built service, after every kind of request and failure,', (createDatabase) => {
  const environment = new LeakEnvironment();
  let contents: string[];
  let commandLine: string;

  beforeAll(async () => {
    await environment.open(createDatabase);
    await requestEverything(environment);
    contents = await contentsOf(environment.knex);
    const { pid, kill } = environment.service;
    commandLine = ['cmdline', 'comm', 'stat'].map((name) => readFileSync(`/proc/${pid}/${name}`, 'utf8')).join();
    expect(await kill('SIGTERM')).toBe(0);
  });
  afterAll(() => environment.close());

  it('has returned every status', () => {
    const all = [200, 201, 302, 400, 401, 403, 404, 405, 409, 413, 429, 431, 500, 502, 503];
    expect([...environment.statuses].sort()).toEqual(expect.arrayContaining(all));
    expect(environment.canaries.count).toBeGreaterThan(300);
    expect(environment.responses.length).toBeGreaterThan(400);
    expect(environment.lines().length).toBeGreaterThan(400);
  });

  it('has leaked no secret in the headers or the body of a response', () => {
    expect(environment.canaries.foundIn(environment.responses)).toEqual([]);
    expect(environment.responses.filter((response) => response.includes('gAAAA'))).toEqual([]);
  });

  it('has leaked no secret in its output, which consists of JSON lines at level trace', () => {
    expect(environment.canaries.foundIn(environment.lines())).toEqual([]);
    expect(environment.lines().filter((line) => line.includes('gAAAA'))).toEqual([]);
    expect(environment.lines().filter((line) => !line.startsWith('{'))).toEqual([]);
  });

  it('has leaked no secret in its traces, and no organization or company', () => {
    const { canaries, collector, realmIds } = environment;
    expect(collector.spans().length).toBeGreaterThan(400);
    expect(canaries.foundIn(collector.bodies)).toEqual([]);
    const sent = collector.bodies.join();
    const organizations = ['acme', 'globex', 'org-', 'linked', 'broken', 'away'];
    const companies = ['Sandbox Company', ...[...realmIds].map((realmId) => `/${realmId}`)];
    expect([...organizations, ...companies].filter((name) => sent.includes(name))).toEqual([]);
  });

  it('has sent no value of a statement in its traces', () => {
    const statements = environment.collector.spans().flatMap(({ attributes }) => attributes['db.query.text'] ?? []);
    const withData = statements.filter((statement) => !/^(SET|SHOW) /.test(statement));
    expect(withData.length).toBeGreaterThan(400);
    expect(withData.filter((statement) => /['"]/.test(statement))).toEqual([]);
  });

  it('has leaked no secret in the database, which contains tokens only as ciphertext', () => {
    expect(contents.join()).toContain('gAAAA');
    expect(environment.canaries.foundIn(contents)).toEqual([]);
  });

  it('has leaked no secret in the title and the command line of its process', () => {
    expect(commandLine).toContain('server.js');
    expect(environment.canaries.foundIn([commandLine])).toEqual([]);
  });
});
