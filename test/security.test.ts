import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';

const SECURITY = readFileSync('SECURITY.md', 'utf8');
const GUARANTEES = /\n## What is guaranteed\n([\s\S]+?)\n## /.exec(SECURITY)?.[1] ?? '';
/** A guarantee, the file of its test, and a part of the test's title. */
const ROW = /^\| (\S.+) \| \[[\w-]+\]\((test\/[\w/.-]+\.test\.ts)\): (.+) \|$/;

describe('SECURITY.md', () => {
  const rows = GUARANTEES.split('\n').filter((line) => line.startsWith('| ') && line !== '| | test |');

  it.each(rows)('names a test that exists for the guarantee: %s', (row) => {
    const [, , file = '', title = ''] = ROW.exec(row) ?? [];
    expect(existsSync(file)).toBe(true);
    const titles = readFileSync(file, 'utf8').match(/(['"])(?:(?!\1).)+\1(?=,\s*(?:async )?\()|^\s*\['.+/gm) ?? [];
    expect(titles.filter((text) => text.includes(title)).length).toBeGreaterThan(0);
  });

  it('guarantees nothing without a test', () => {
    expect(rows.length).toBeGreaterThan(30);
    expect(rows.filter((row) => !ROW.test(row))).toEqual([]);
  });

  it('names only files that exist', () => {
    const paths = [...SECURITY.matchAll(/`((?:src|test|docs)\/[\w/.-]+)`/g)].map(([, path = '']) => path);
    expect(paths.length).toBeGreaterThan(10);
    expect(paths.filter((path) => !existsSync(path))).toEqual([]);
  });
});
