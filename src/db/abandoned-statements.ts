import type { Run } from './session-settings.ts';

/** As many as a pool has connections. */
const MAX_ABANDONED = 10;

/**
 * The statements that a pool gave up and that the server may still execute, such as a commit that waits for a replica. Each
 * occupies a thread of the server until it ends, and may hold locks: while there are many, more would not end either.
 */
export class AbandonedStatements {
  /** The server's IDs of their connections. */
  private threads: number[] = [];

  /** @param thread the server's ID of the connection */
  add(thread: number): void {
    this.threads.push(thread);
  }

  /** Forgets those that have ended. @param run runs a statement on a new connection @throws AbandonedStatementsError if too many are left */
  async check(run: Run): Promise<void> {
    if (this.threads.length < MAX_ABANDONED) return;
    const ids = this.threads.join(', ');
    const rows = await run(`SELECT ID FROM information_schema.PROCESSLIST WHERE ID IN (${ids}) AND COMMAND <> 'Sleep'`);
    this.threads = rows.map((row) => Number(row['ID']));
    if (this.threads.length >= MAX_ABANDONED) throw new AbandonedStatementsError();
  }
}

/** Too many statements that were given up are still executed. */
class AbandonedStatementsError extends Error {
  override readonly name = 'AbandonedStatementsError';
}
