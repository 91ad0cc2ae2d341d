const BLOCK_BYTES = 64 * 1024;

/**
 * Bytes that arrive in chunks, copied into blocks: a body can be sent in chunks of one byte, and a buffer for each of them takes
 * more than a hundred bytes.
 */
export class ByteBlocks {
  private blocks: Buffer[] = [];
  /** The unused part of the last block. */
  private free: Buffer = Buffer.alloc(0);
  private bytes = 0;
  private readonly blockBytes: number;

  /** @param maxBytes how many bytes there will be at most, if it is known: fewer than a block need not occupy one */
  constructor(maxBytes = BLOCK_BYTES) {
    this.blockBytes = Math.min(maxBytes, BLOCK_BYTES);
  }

  get size(): number {
    return this.bytes;
  }

  append(chunk: Buffer): void {
    for (let copied = 0; copied < chunk.length; ) {
      if (this.free.length === 0) this.addBlock();
      const length = chunk.copy(this.free, 0, copied);
      this.free = this.free.subarray(length);
      copied += length;
    }
    this.bytes += chunk.length;
  }

  /** Removes all bytes, and returns them in one buffer of their size. */
  take(): Buffer {
    const [block] = this.blocks;
    const taken = block?.length === this.bytes ? block : Buffer.concat(this.blocks, this.bytes);
    this.blocks = [];
    this.free = Buffer.alloc(0);
    this.bytes = 0;
    return taken;
  }

  private addBlock(): void {
    this.free = Buffer.allocUnsafe(this.blockBytes);
    this.blocks.push(this.free);
  }
}
