import { writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { Writable } from 'node:stream';
import type { DestinationStream } from 'pino';
import { systemClock } from '../utils/clock.ts';
import { TerminalOutput } from './terminal-output.ts';

/** Lines that wait because the standard output is not read may occupy this much memory; further ones are dropped. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024;

/** What every line is written to. */
let output: Writable | undefined;

/**
 * Standard output, whose errors neither end the process nor delay requests: a full disk, a pipe that is closed, or a pipe or
 * terminal that is not read. The lines of one iteration of the event loop are written at once. The first line after dropped
 * ones says how many there were.
 */
export function standardOutput(): DestinationStream & { flushSync(): void } {
  output ??= openOutput();
  const stream = output;
  let lines = '';
  let dropped = 0;
  const flush = () => {
    const text = lines;
    lines = '';
    if (text) stream.write(text);
  };
  stream.on('error', () => undefined);
  process.on('exit', flush);
  return {
    flushSync: flush, // called by pino after a fatal line
    write: (line) => {
      if (stream.writableLength > MAX_WAITING_BYTES) {
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
  const stream = output;
  if (!stream) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve());
    setImmediate(() => stream.write('', () => resolve()));
  });
}

function openOutput(): Writable {
  const { stdout } = process;
  if (stdout.isTTY) return openTerminal() ?? stdout;
  return stdout instanceof Socket ? stdout : fileOutput();
}

/** Returns undefined if the terminal belongs to another user. */
function openTerminal(): Writable | undefined {
  try {
    return new TerminalOutput(systemClock);
  } catch {
    return undefined;
  }
}

/** A file takes every line at once. */
function fileOutput(): Writable {
  return new Writable({
    decodeStrings: false,
    write: (text: string, _encoding, callback) => {
      try {
        writeFileSync(1, text);
      } catch {
        // The disk may be full: there is no other place for these lines.
      }
      callback();
    },
  });
}

/** A line with the time of the one that follows it. */
function droppedLine(dropped: number, next: string): string {
  const [time = '"time":0'] = /"time":\d+/.exec(next) ?? [];
  return `{"level":40,${time},"event":"log.dropped","lines":${dropped},"msg":"log.dropped"}\n`;
}
