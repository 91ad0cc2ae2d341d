import { describe, expect, it } from '@jest/globals';
import { type Process, printed, projectFile, startProcess } from '../support/processes.ts';

const KILL = "process.kill(process.pid, 'SIGKILL')";

describe('the log of a process', () => {
  it.each([
    ['exits', 'process.exit(0)'],
    ['has nothing left to do', ''],
    ['ends by an error that nothing catches', "throw new Error('uncaught')"],
    ['ends by a rejection that nothing catches', "await Promise.reject(new Error('uncaught'))"],
    ['is killed after a fatal line', `logger.fatal('fatal'); ${KILL}`],
  ])('is complete if it %s', async (_, end) => {
    expect((await messagesOf(end)).slice(0, 20)).toEqual(Array.from({ length: 20 }, (_line, index) => `line ${index}`));
  });

  it('is written if nothing follows', async () => {
    const process = start('setInterval(() => undefined, 60_000)');
    await printed(process, /"line 19"/);
    await process.kill('SIGKILL');
  });

  it('lacks the last lines if it is killed', async () => {
    expect(await messagesOf(KILL)).toEqual([]);
  });
});

/** What a process has logged that writes twenty lines and then does something else. */
async function messagesOf(end: string): Promise<unknown[]> {
  const process = start(end);
  await process.ended;
  const lines = process.stdout().split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line).msg);
}

function start(end: string): Process {
  const code = `
    const { createLogger } = await import('${projectFile('dist/src/observability/logger.js')}');
    const logger = await createLogger({ production: true, logLevel: 'info' });
    for (let index = 0; index < 20; index += 1) logger.info('line ' + index);
    ${end}`;
  return startProcess({ args: ['--input-type=module', '-e', code], env: {} });
}
