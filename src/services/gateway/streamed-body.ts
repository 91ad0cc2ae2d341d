import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { AppError } from '../../errors.ts';
import { MAX_GATEWAY_BODY_BYTES } from '../../models/body-limits.ts';
import { ByteBlocks } from '../../utils/byte-blocks.ts';
import { callerLeft } from './caller-left.ts';

/** How much of the body is read ahead of the provider. */
const AHEAD_BYTES = 64 * 1024;

/** A body that is passed on as it arrives, no faster than the provider reads it. It can be sent once. */
export class StreamedBody extends Readable {
  /** In bytes; absent if it is known only at the end. */
  readonly length: string | undefined;
  private readonly source: IncomingMessage;
  private readonly ahead = new ByteBlocks();
  private received = 0;
  /** Whether the next chunk is to be passed on. Nothing is ahead then. */
  private isWanted = false;
  private isComplete = false;

  /** @param head what was already read of the source, which is paused */
  constructor(source: IncomingMessage, head: Buffer = Buffer.alloc(0)) {
    super({ highWaterMark: 1 }); // what is read ahead is kept in blocks
    this.length = source.headers['content-length'];
    this.source = source;
    this.onData(head);
    if (source.destroyed) this.onLeft();
    else source.on('data', this.onData).on('end', this.onEnd).on('error', this.onLeft).on('close', this.onLeft);
  }

  override _read(): void {
    if (this.ahead.size > 0) this.push(this.ahead.take());
    else if (this.isComplete) this.push(null);
    else this.isWanted = true;
    this.source.resume();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.source.off('data', this.onData).off('end', this.onEnd).off('close', this.onLeft);
    this.source.resume(); // the caller receives the response only after it has sent its whole body
    done(error);
  }

  private readonly onData = (chunk: Buffer): void => {
    this.received += chunk.length;
    if (this.received > MAX_GATEWAY_BODY_BYTES) {
      this.destroy(new AppError('payload_too_large'));
    } else if (this.isWanted) {
      this.isWanted = false;
      this.push(chunk);
    } else {
      this.ahead.append(chunk);
      if (this.ahead.size >= AHEAD_BYTES) this.source.pause();
    }
  };

  private readonly onEnd = (): void => {
    this.isComplete = true;
    if (this.isWanted) this.push(null);
  };

  private readonly onLeft = (): void => {
    if (!this.source.readableEnded) this.destroy(callerLeft());
  };
}
