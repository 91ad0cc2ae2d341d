import { constants, openSync, writeSync } from 'node:fs';
import type { Clock, Timer } from '../utils/clock.ts';

/** A terminal that has no room is tried again after this time: first the shorter, and the longer while it takes nothing. */
const RETRY_MS = { min: 1, max: 50 };

/**
 * The terminal of the standard output, opened a second time so that a write never blocks. Node.js writes to a terminal
 * synchronously: one that is not read, or was stopped by Ctrl+S, would stop the process.
 */
export class TerminalOutput {
  /** Bytes for which the terminal has had no room yet. */
  writableLength = 0;
  private readonly clock: Clock;
  private readonly file: number;
  private readonly waiting: { bytes: Buffer; callback: (() => void) | undefined }[] = [];
  private retryMs = RETRY_MS.min;
  private timer: Timer | undefined;

  /** @throws Error if the terminal cannot be opened */
  constructor(clock: Clock) {
    this.clock = clock;
    this.file = openSync('/dev/fd/1', constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  }

  /** @param callback called when the terminal has taken the text, and all text before it */
  write(text: string, callback?: () => void): void {
    const bytes = Buffer.from(text);
    this.waiting.push({ bytes, callback });
    this.writableLength += bytes.length;
    this.writeWaiting();
  }

  private writeWaiting(): void {
    for (let [next] = this.waiting; next; [next] = this.waiting) {
      const written = this.tryWrite(next.bytes);
      this.writableLength -= written;
      next.bytes = next.bytes.subarray(written);
      if (next.bytes.length > 0) {
        this.retryLater(written > 0);
        return;
      }
      this.waiting.shift();
      next.callback?.();
    }
  }

  private retryLater(isRead: boolean): void {
    this.retryMs = isRead ? RETRY_MS.min : Math.min(2 * this.retryMs, RETRY_MS.max);
    this.timer ??= this.clock.startTimer(this.retryMs, () => {
      this.timer = undefined;
      this.writeWaiting();
    });
  }

  /** Returns how many bytes the terminal has taken: all of them if it is gone, since there is no other place for them. */
  private tryWrite(bytes: Buffer): number {
    try {
      return writeSync(this.file, bytes);
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'EAGAIN' ? 0 : bytes.length;
    }
  }
}
