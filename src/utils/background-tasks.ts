/** Work that continues after its caller has left, and that a shutdown waits for. */
export class BackgroundTasks {
  private readonly running = new Set<Promise<unknown>>();

  /** Resolves or rejects as `task` does. */
  async run<T>(task: Promise<T>): Promise<T> {
    this.running.add(task);
    try {
      return await task;
    } finally {
      this.running.delete(task);
    }
  }

  /** Resolves once nothing is running, whether the tasks succeeded or failed. */
  async drain(): Promise<void> {
    while (this.running.size > 0) await Promise.allSettled(this.running);
  }
}
