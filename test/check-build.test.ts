import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

describe('a checkout', () => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8'));
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'checkout-'));
    cpSync('bin', join(folder, 'bin'), { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each(['prestart', 'preworker', 'migrate'])('without a build prints one line that says what to run: %s', (name) => {
    const { status, stderr } = run(name);
    expect([status, stderr]).toEqual([1, 'There is no build: run `npm run build` first.\n']);
  });

  it('with a build can start', () => {
    mkdirSync(join(folder, 'dist/src'), { recursive: true });
    writeFileSync(join(folder, 'dist/src/server.js'), '');
    expect(run('prestart').status).toBe(0);
  });

  function run(name: string) {
    const [, ...args]: string[] = scripts[name].split(' ');
    return spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
  }
});
