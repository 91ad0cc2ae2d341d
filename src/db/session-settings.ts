/** Locks are waited for less long than the session waits for a statement: an abandoned one ends on the server, too. */
const LOCK_WAIT_S = 4;

/** What every statement of the service relies on, whatever the server's defaults are. */
const SETTINGS = {
  sql_mode: "'TRADITIONAL'",
  autocommit: '1',
  completion_type: "'NO_CHAIN'",
  time_zone: "'+00:00'", // in a local one, TIMESTAMP columns reject the hour that daylight saving time skips
  character_set_client: 'utf8mb4',
  character_set_results: 'utf8mb4',
  collation_connection: 'utf8mb4_general_ci',
  default_storage_engine: 'InnoDB',
  unique_checks: '1',
  foreign_key_checks: '1',
  sql_safe_updates: '0',
  sql_auto_is_null: '0',
  sql_select_limit: 'DEFAULT',
};

const LOCK_WAITS = { lock_wait_timeout: String(LOCK_WAIT_S), innodb_lock_wait_timeout: String(LOCK_WAIT_S) };

/** Settings of servers with several nodes, by which statements wait until the node has applied what was committed before. */
const CAUSAL: Record<string, string> = { wsrep_sync_wait: '7', group_replication_consistency: "'BEFORE'" };

/** How a connection to MySQL or MariaDB is used. */
export interface SessionUse {
  /** Statements see everything that was committed before on any node of a cluster. */
  isCausal: boolean;
  /** Waits for locks are limited. */
  limitsLockWaits: boolean;
}

/** Runs one statement on a connection. Returns its rows. */
export type Run = (sql: string) => Promise<Record<string, unknown>[]>;

/** Sets what the server could otherwise decide. */
export async function pinSettings(run: Run, { isCausal, limitsLockWaits }: SessionUse): Promise<void> {
  await run(`SET ${assignments({ ...SETTINGS, ...(limitsLockWaits ? LOCK_WAITS : {}) })}`);
  await run('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE');
  if (!isCausal) return;
  const names = Object.keys(CAUSAL).map((name) => `'${name}'`);
  const known = await run(`SHOW VARIABLES WHERE Variable_name IN (${names.join(', ')})`);
  const settings = Object.entries(CAUSAL).filter(([name]) => known.some((row) => row['Variable_name'] === name));
  if (settings.length > 0) await run(`SET ${assignments(Object.fromEntries(settings))}`);
}

function assignments(settings: Record<string, string>): string {
  return Object.entries(settings)
    .map(([name, value]) => `SESSION ${name} = ${value}`)
    .join(', ');
}
