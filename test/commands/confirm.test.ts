import { PassThrough } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { confirm } from '../../src/commands/confirm.ts';

describe('a confirmation', () => {
  it.each([
    ['yes\n', true],
    ['YES \n', true],
    ['y\n', false],
    ['\n', false],
    ['', false],
  ])('typed as %j is %s', async (typed, confirmed) => {
    const terminal = { input: Object.assign(new PassThrough(), { isTTY: true }), output: new PassThrough() };
    terminal.input.end(typed);
    expect(await confirm('Delete everything?', terminal)).toBe(confirmed);
    expect(String(terminal.output.read())).toBe('Delete everything? Type yes to continue: ');
  });

  it('is not asked for without a terminal', async () => {
    const terminal = { input: new PassThrough(), output: new PassThrough() };
    expect(await confirm('Delete everything?', terminal)).toBeUndefined();
    expect(terminal.output.read()).toBeNull();
  });
});
