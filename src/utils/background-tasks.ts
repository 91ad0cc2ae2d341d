/** Work that goes on though its caller leaves, and that a shutdown waits for. */
export class InFlight {
  private readonly running = new Set<Promise<unknown>>();

  /** Answers what the work answers. */
  async track<T>(work: Promise<T>): Promise<T> {
    this.running.add(work);
    try {
      return await work;
    } finally {
      this.running.delete(work);
    }
  }

  /** Resolves when nothing runs any more, whatever became of it. */
  async settled(): Promise<void> {
    while (this.running.size > 0) await Promise.allSettled(this.running);
  }
}
