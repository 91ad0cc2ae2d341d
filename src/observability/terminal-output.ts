import { constants, openSync, writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import type { Clock } from '../utils/clock.ts';

/** How long a terminal that takes nothing now is left alone. */
const RETRY_MS = 50;

type Callback = (error?: Error) => void;

/**
 * The terminal of the standard output, opened a second time so that a write never blocks. Node.js writes to a terminal
 * synchronously: one that is not read, or was stopped by Ctrl+S, would stop the process.
 */
export class TerminalOutput extends Writable {
  private readonly clock: Clock;
  private readonly file: number;

  /** @throws Error if the terminal cannot be opened */
  constructor(clock: Clock) {
    super();
    this.clock = clock;
    this.file = openSync('/dev/fd/1', constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  }

  override _write(bytes: Buffer, _encoding: string, callback: Callback): void {
    try {
      const rest = bytes.subarray(this.tryWrite(bytes));
      if (rest.length === 0) callback();
      else this.clock.startTimer(RETRY_MS, () => this._write(rest, _encoding, callback));
    } catch (error) {
      callback(error as Error);
    }
  }

  /** Returns how many bytes the terminal has taken. */
  private tryWrite(bytes: Buffer): number {
    try {
      return writeSync(this.file, bytes);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0;
      throw error;
    }
  }
}
