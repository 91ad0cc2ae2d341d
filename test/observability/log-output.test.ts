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

it('arrives completely and in order at a terminal that is read', async () => {
  const count = 20_000; // many times what a terminal holds
  const log = `for (let index = 0; index < ${count}; index += 1) logger.info('line ' + index);`;
  const command = [process.execPath, '--input-type=module', '-e', createLogger(log)].map(quote).join(' ');
  const terminal = startProcess({ command: 'script', args: ['-qec', command, '/dev/null'], env: {} });
  expect(await terminal.ended).toBe(0);
  const messages = terminal
    .stdout()
    .split('\r\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line).msg);
  expect(messages).toEqual(Array.from({ length: count }, (_, index) => `line ${index}`));
});

/** What a process has logged that writes twenty lines and then does something else. */
async function messagesOf(end: string): Promise<unknown[]> {
  const process = start(end);
  await process.ended;
  const lines = process.stdout().split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line).msg);
}

function start(end: string): Process {
  const log = `for (let index = 0; index < 20; index += 1) logger.info('line ' + index);\n${end}`;
  return startProcess({ args: ['--input-type=module', '-e', createLogger(log)], env: {} });
}

/** A script that creates a logger, and then does what is given. */
function createLogger(work: string): string {
  return `
    const { createLogger } = await import('${projectFile('dist/src/observability/logger.js')}');
    const logger = await createLogger({ production: true, logLevel: 'info' });
    ${work}`;
}

function quote(argument: string): string {
  return `'${argument.replaceAll("'", "'\\''")}'`;
}
