import { writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import type { DestinationStream } from 'pino';
import { systemClock } from '../utils/clock.ts';
import { TerminalOutput } from './terminal-output.ts';

/** Lines that wait because the standard output is not read may occupy this much memory; further ones are dropped. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024;

/** What lines are written to. */
interface Output {
  /** Bytes that wait until they are read. */
  readonly writableLength: number;
  /** Returns at once. @param callback called when the text has left the process, and all text before it */
  write(text: string, callback?: () => void): unknown;
}

let output: Output | undefined;

/**
 * Standard output, whose errors neither end the process nor delay requests: a full disk, a pipe that is closed, or a pipe or
 * terminal that is not read. The lines of one iteration of the event loop are written at once. The first line after dropped
 * ones says how many there were.
 */
export function standardOutput(): DestinationStream & { flushSync(): void } {
  output ??= openOutput();
  const destination = output;
  let lines = '';
  let dropped = 0;
  const flush = () => {
    const text = lines;
    lines = '';
    if (text) destination.write(text);
  };
  process.on('exit', () => {
    flush();
    destination.write(''); // has what waits written, as far as there is room
  });
  return {
    flushSync: flush, // called by pino after a fatal line
    write: (line) => {
      if (destination.writableLength > MAX_WAITING_BYTES) {
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
    setImmediate(() => (output ? output.write('', resolve) : resolve()));
  });
}

function openOutput(): Output {
  const { stdout } = process;
  stdout.on('error', () => undefined);
  if (stdout.isTTY) return openTerminal() ?? stdout;
  return stdout instanceof Socket ? stdout : new FileOutput();
}

/** Returns undefined if the terminal belongs to another user. */
function openTerminal(): Output | undefined {
  try {
    return new TerminalOutput(systemClock);
  } catch {
    return undefined;
  }
}

/** A file, which takes every line at once. */
class FileOutput implements Output {
  readonly writableLength = 0;

  write(text: string, callback?: () => void): void {
    try {
      writeFileSync(1, text);
    } catch {
      // The disk may be full: there is no other place for these lines.
    }
    callback?.();
  }
}

/** A line with the time of the one that follows it. */
function droppedLine(dropped: number, next: string): string {
  const [time = '"time":0'] = /"time":\d+/.exec(next) ?? [];
  return `{"level":40,${time},"event":"log.dropped","lines":${dropped},"msg":"log.dropped"}\n`;
}
