import type { AccountingSystem, Ciphertext, DeactivationReason } from '../models/connection.ts';
import type { ConnectionEventType } from '../models/connection-event.ts';

/** An instant as the driver answers it: MySQL a Date, SQLite milliseconds since 1970. */
export type StoredInstant = Date | number;

/** A row of `oauth_tokens`. */
export interface OAuthTokenRow {
  token_id: string;
  organization_id: string;
  accounting_system: AccountingSystem;
  realm_id: string;
  company_name: string | null;
  access_token: Ciphertext;
  refresh_token: Ciphertext;
  access_token_expires_at: StoredInstant;
  refresh_token_expires_at: StoredInstant;
  refresh_token_hard_expires_at: StoredInstant | null;
  is_active: 0 | 1;
  deactivated_at: StoredInstant | null;
  deactivation_reason: DeactivationReason | null;
  generation: number;
  refresh_lease_owner: string | null;
  refresh_lease_expires_at: StoredInstant | null;
  refresh_started_at: StoredInstant | null;
  refresh_failures: number;
  next_refresh_attempt_at: StoredInstant | null;
  last_refreshed_at: StoredInstant | null;
  last_intuit_tid: string | null;
  created_at: StoredInstant;
  updated_at: StoredInstant;
  next_care_at: StoredInstant | null;
  /** How often a lost connection was tried again. */
  recoveries: number;
  is_expiring_told: 0 | 1;
  is_refresh_failing: 0 | 1;
  /** Generated: 1 while the row is the organization's current connection, else null. */
  current_key: 1 | null;
}

/** A row of `oauth_states`: a state or a connect link that was used. */
interface OAuthStateRow {
  state_id: string;
  expires_at: StoredInstant;
}

/** A row of `connection_events`. */
export interface ConnectionEventRow {
  /** BIGINT: the drivers answer a number. */
  position: number;
  event_id: string;
  organization_id: string;
  accounting_system: AccountingSystem;
  type: ConnectionEventType;
  reason: string | null;
  realm_id: string | null;
  actor: string;
  intuit_tid: string | null;
  occurred_at: StoredInstant;
}

/** A row of `webhook_queues`. */
export interface WebhookQueueRow {
  organization_id: string;
  delivered_position: number;
  /** Counts the events that came in. */
  version: number;
  failures: number;
  /** Null while nothing waits; while somebody delivers, when others may take over. */
  next_attempt_at: StoredInstant | null;
}

/** A row of `pending_revocations`. */
export interface PendingRevocationRow {
  revocation_id: string;
  accounting_system: AccountingSystem;
  realm_id: string;
  refresh_token: Ciphertext;
  failures: number;
  next_attempt_at: StoredInstant;
  created_at: StoredInstant;
}

/** A row of `connection_counts`: a part of each sum. */
interface ConnectionCountRow {
  shard: number;
  active: number;
  lost: number;
}

declare module 'knex/types/tables.js' {
  interface Tables {
    oauth_tokens: OAuthTokenRow;
    oauth_states: OAuthStateRow;
    connection_events: ConnectionEventRow;
    webhook_queues: WebhookQueueRow;
    pending_revocations: PendingRevocationRow;
    connection_counts: ConnectionCountRow;
  }
}
