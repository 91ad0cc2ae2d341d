import { readFileSync } from 'node:fs';
import { expect, it } from '@jest/globals';
import { COVERED_BY_TESTS } from './faults/covered-by-tests.ts';

it.each(COVERED_BY_TESTS)('the fault "$fault" has its test', ({ file, title }) => {
  expect(readFileSync(file, 'utf8')).toContain(`'${title}'`);
});
