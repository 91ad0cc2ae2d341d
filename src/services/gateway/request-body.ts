import type { IncomingMessage } from 'node:http';
import { ByteBlocks } from '../../utils/byte-blocks.ts';
import type { MemoryBudget } from '../../utils/memory-budget.ts';
import { callerLeft } from './caller-left.ts';
import { StreamedBody } from './streamed-body.ts';

/** A body up to this size is kept, so that it can be sent twice; a larger one is streamed. */
export const MAX_KEPT_BYTES = 1024 * 1024;
/** What a streamed body occupies in buffers at once, besides the part that was read before it turned out to be large. */
const STREAM_BYTES = 256 * 1024;

/** The body of a POST. */
export interface RequestBody {
  content: Buffer | StreamedBody;
  /** Ends its use: to be called once. */
  release(): void;
}

/** Where the memory for a body comes from. */
interface BodyMemory {
  budget: MemoryBudget;
  /** Whose share of the budget it is. */
  owner: string;
}

/**
 * Reads a body, or only its beginning if it is large.
 * @throws AppError `service_unavailable` if too many bodies are in memory, of all callers or of the owner
 */
export async function readBody(source: IncomingMessage, { budget, owner }: BodyMemory): Promise<RequestBody> {
  const length = lengthOf(source);
  if (length === 0) return { content: Buffer.alloc(0), release: () => undefined };
  let bytes = length === undefined ? MAX_KEPT_BYTES + STREAM_BYTES : length > MAX_KEPT_BYTES ? STREAM_BYTES : length;
  budget.reserve(bytes, owner);
  try {
    const isLarge = length !== undefined && length > MAX_KEPT_BYTES;
    const content = isLarge ? new StreamedBody(source) : await keepOrStream(source, length);
    if (!(content instanceof StreamedBody)) {
      budget.release(bytes - content.length, owner); // if its length was not known
      bytes = content.length;
    }
    const release = () => {
      if (content instanceof StreamedBody) content.destroy();
      budget.release(bytes, owner);
    };
    return { content, release };
  } catch (error) {
    budget.release(bytes, owner);
    throw error;
  }
}

/** Undefined if it is known only at the end of the body. */
function lengthOf({ headers }: IncomingMessage): number | undefined {
  if (headers['transfer-encoding'] !== undefined) return undefined;
  return Number(headers['content-length'] ?? 0);
}

async function keepOrStream(source: IncomingMessage, length: number | undefined): Promise<Buffer | StreamedBody> {
  return new Promise((resolve, reject) => {
    const kept = new ByteBlocks(length);
    if (source.destroyed) return reject(callerLeft());
    source.on('data', onData).on('end', onEnd).on('error', onLeft).on('close', onLeft);

    function onData(chunk: Buffer): void {
      kept.append(chunk);
      if (kept.size <= MAX_KEPT_BYTES) return;
      stop();
      source.pause();
      resolve(new StreamedBody(source, kept.take()));
    }
    function onEnd(): void {
      stop();
      resolve(kept.take());
    }
    function onLeft(): void {
      stop();
      reject(callerLeft());
    }
    function stop(): void {
      source.off('data', onData).off('end', onEnd).off('error', onLeft).off('close', onLeft);
    }
  });
}
