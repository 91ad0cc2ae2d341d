import { writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import type { DestinationStream } from 'pino';

/** Lines that wait because the standard output is not read may occupy this much memory; further ones are dropped. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024;

/**
 * Standard output, whose errors neither end the process nor delay requests: a full disk, a pipe that is closed, or one
 * that is not read. The lines of one iteration of the event loop are written at once. The first line after dropped ones
 * says how many there were.
 */
export function standardOutput(): DestinationStream & { flushSync(): void } {
  const { stdout } = process;
  const writeAll = stdout instanceof Socket && !stdout.isTTY ? writeToPipe : writeToFile;
  let lines = '';
  let dropped = 0;
  const flush = () => {
    const text = lines;
    lines = '';
    if (text) writeAll(text);
  };
  stdout.on('error', () => undefined);
  process.on('exit', flush);
  return {
    flushSync: flush, // called by pino after a fatal line
    write: (line) => {
      if (stdout.writableLength > MAX_WAITING_BYTES) {
        dropped += 1;
        return;
      }
      if (!lines) setImmediate(flush);
      if (dropped > 0) lines += droppedLine(dropped, line);
      dropped = 0;
      lines += line;
    },
  };
}

/** Resolves once the lines written so far have left the process, or when `signal` is aborted. */
export async function flushStandardOutput(signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve());
    setImmediate(() => process.stdout.write('', () => resolve()));
  });
}

/** Returns at once: what the pipe does not take now is written later. */
function writeToPipe(text: string): void {
  process.stdout.write(text);
}

function writeToFile(text: string): void {
  try {
    writeFileSync(1, text);
  } catch {
    // The disk may be full: there is no other place for these lines.
  }
}

/** A line with the time of the one that follows it. */
function droppedLine(dropped: number, next: string): string {
  const [time = '"time":0'] = /"time":\d+/.exec(next) ?? [];
  return `{"level":40,${time},"event":"log.dropped","lines":${dropped},"msg":"log.dropped"}\n`;
}
