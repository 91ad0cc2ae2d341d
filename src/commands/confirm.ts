import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';

/** Where a question is asked: by default the terminal that the process has. */
export interface Terminal {
  input: NodeJS.ReadableStream & { isTTY?: boolean };
  output: NodeJS.WritableStream;
}

/** Asks a question on a terminal. Returns true only if the answer is `yes`; without a terminal, undefined. */
export async function confirm(
  question: string,
  { input, output }: Terminal = { input: process.stdin, output: process.stderr },
): Promise<boolean | undefined> {
  if (!input.isTTY) return undefined;
  const lines = createInterface({ input, output });
  const closed = once(lines, 'close').then(() => ''); // end of input, or Ctrl-C
  const answer = await Promise.race([lines.question(`${question} Type yes to continue: `), closed]);
  lines.close();
  return answer.trim().toLowerCase() === 'yes';
}
