import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { contentsOf } from '../support/canaries.ts';
import { describeOnServer } from '../support/databases.ts';
import { driveEverything } from '../support/leak-drive.ts';
import { LeakStage } from '../support/leak-stage.ts';

describeOnServer('nothing leaks', (createDatabase) => {
  const stage = new LeakStage();
  let contents: string[];
  let process: string;

  beforeAll(async () => {
    await stage.open(createDatabase);
    await driveEverything(stage);
    contents = await contentsOf(stage.knex);
    const { pid } = JSON.parse(stage.lines()[0] ?? '');
    process = ['cmdline', 'comm', 'stat'].map((name) => readFileSync(`/proc/${pid}/${name}`, 'utf8')).join();
    stage.service.kill('SIGTERM');
    expect(await stage.service.ended).toBe(0);
  });
  afterAll(() => stage.close());

  it('whatever was asked: every kind of answer was given', () => {
    const all = [200, 201, 302, 400, 401, 403, 404, 405, 409, 413, 429, 500, 502, 503];
    expect([...stage.statuses].sort()).toEqual(expect.arrayContaining(all));
    expect([stage.canaries.count > 300, stage.answers.length > 400, stage.lines().length > 400]).toEqual([
      true,
      true,
      true,
    ]);
  });

  it('in the answers: neither in their headers nor in their bodies', () => {
    expect(stage.canaries.foundIn(stage.answers)).toEqual([]);
    expect(stage.answers.filter((answer) => answer.includes('gAAAA'))).toEqual([]);
  });

  it('in what the process printed at level trace', () => {
    expect(stage.canaries.foundIn(stage.lines())).toEqual([]);
    expect(stage.lines().filter((line) => line.includes('gAAAA'))).toEqual([]);
    expect(stage.lines().filter((line) => !line.startsWith('{'))).toEqual([]);
  });

  it('in the database, which holds tokens as ciphertext alone', () => {
    expect(contents.join()).toContain('gAAAA');
    expect(stage.canaries.foundIn(contents)).toEqual([]);
  });

  it('in the process’ title and command line', () => {
    expect(process).toContain('server.js');
    expect(stage.canaries.foundIn([process])).toEqual([]);
  });
});
