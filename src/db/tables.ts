import type { Knex } from 'knex';
import type {
  AccountingSystem,
  Ciphertext,
  DeactivationReason,
  OrganizationId,
  RealmId,
} from '../models/connection.ts';
import type { ConnectionEventType } from '../models/connection-event.ts';
import type { CallbackOutcome, PendingGrant } from '../models/pending-grant.ts';

/** An instant as the driver returns it: a Date from MySQL, milliseconds since 1970 from SQLite. */
export type StoredInstant = Date | number;

/** What a token column of a row without tokens holds: the contract's columns are NOT NULL. */
export const NO_CIPHERTEXT = '';

/** A row of `oauth_tokens`. */
export interface OAuthTokenRow {
  token_id: string;
  organization_id: OrganizationId;
  accounting_system: AccountingSystem;
  realm_id: RealmId;
  company_name: string | null;
  access_token: Ciphertext | typeof NO_CIPHERTEXT;
  refresh_token: Ciphertext | typeof NO_CIPHERTEXT;
  /** Binds both ciphertexts to this row; null if there are none. */
  token_digest: string | null;
  access_token_expires_at: StoredInstant;
  refresh_token_expires_at: StoredInstant;
  /** 1 if the provider returned no lifetime and the documented one was assumed. */
  is_refresh_expiry_assumed: 0 | 1;
  authorization_expires_at: StoredInstant | null;
  is_active: 0 | 1;
  deactivated_at: StoredInstant | null;
  deactivation_reason: DeactivationReason | null;
  generation: number;
  refresh_lease_owner: string | null;
  refresh_takeover_owner: string | null;
  refresh_started_at: StoredInstant | null;
  refresh_failures: number;
  next_refresh_attempt_at: StoredInstant | null;
  is_refresh_failing: 0 | 1;
  last_refreshed_at: StoredInstant | null;
  last_verified_at: StoredInstant | null;
  last_intuit_tid: string | null;
  next_maintenance_at: StoredInstant | null;
  recovery_attempts: number;
  expiry_notified_at: StoredInstant | null;
  /** When the company's name was last requested. */
  company_read_at: StoredInstant | null;
  /** When the provider reported that the company may have been disconnected; older than the verification that followed. */
  verification_requested_at: StoredInstant | null;
  created_at: StoredInstant;
  updated_at: StoredInstant;
  /** Generated: 1 while the row is the organization's current connection, otherwise null. */
  current_key: 1 | null;
  /** Generated: the day on which the authorization ends, in days since 1970 in UTC. */
  authorization_expires_day: number | null;
}

/** A row of `oauth_states`: a state or a connect link that was consumed. */
interface OAuthStateRow {
  state_id: string;
  expires_at: StoredInstant;
  /** How the state's callback ended; null while it is in progress, and for a link. */
  outcome: CallbackOutcome['kind'] | null;
  /** The error's code, or the pending grant's ID. */
  outcome_detail: string | null;
}

/** A row of `pending_grants`. */
export interface PendingGrantRow {
  /** The ID that the connection will have: the tokens are bound to it. */
  token_id: string;
  organization_id: OrganizationId;
  accounting_system: AccountingSystem;
  realm_id: RealmId;
  access_token: Ciphertext;
  refresh_token: Ciphertext;
  token_digest: string;
  access_token_expires_at: StoredInstant;
  refresh_token_expires_at: StoredInstant;
  is_refresh_expiry_assumed: 0 | 1;
  authorization_expires_at: StoredInstant | null;
  intuit_tid: string | null;
  actor: string;
  state_id: string;
  pinned_realm_id: RealmId | null;
  link_id: string | null;
  link_expires_at: StoredInstant | null;
  phase: PendingGrant['phase'];
  company_name: string | null;
  verified_at: StoredInstant | null;
  confirmable_until: StoredInstant | null;
  next_attempt_at: StoredInstant;
  created_at: StoredInstant;
}

/** A row of `connection_events`. */
export interface ConnectionEventRow {
  /** BIGINT: the drivers return a number. */
  position: number;
  event_id: string;
  organization_id: OrganizationId;
  accounting_system: AccountingSystem;
  type: ConnectionEventType;
  reason: string | null;
  realm_id: RealmId | null;
  actor: string;
  intuit_tid: string | null;
  occurred_at: StoredInstant;
}

/** A row of `webhook_queues`. */
export interface WebhookQueueRow {
  organization_id: OrganizationId;
  delivered_position: number;
  /** Counts the events that were enqueued. */
  version: number;
  attempts: number;
  /** Null if nothing is pending; during a delivery, when another worker may take over. */
  next_attempt_at: StoredInstant | null;
}

/** A row of `pending_revocations`. */
export interface PendingRevocationRow {
  revocation_id: string;
  accounting_system: AccountingSystem;
  /** Null if it is not known which company the grant is for. */
  realm_id: RealmId | null;
  /** The organization that it was made for; null if it was recorded before this column was. */
  organization_id: OrganizationId | null;
  refresh_token: Ciphertext;
  attempts: number;
  next_attempt_at: StoredInstant;
  created_at: StoredInstant;
}

/** A row of `connection_counts`: one shard of each sum. */
interface ConnectionCountRow {
  shard: number;
  active: number;
  lost: number;
}

/** The columns without a default, and any others, but never a generated one. */
type Insertable<Row, Optional extends keyof Row, Generated extends keyof Row = never> = Omit<
  Row,
  Optional | Generated
> &
  Partial<Pick<Row, Optional>>;

/** The columns of `oauth_tokens` that the database computes. */
export type GeneratedColumn = 'current_key' | 'authorization_expires_day';

type OAuthTokenInsert = Insertable<
  OAuthTokenRow,
  | 'is_active'
  | 'deactivated_at'
  | 'deactivation_reason'
  | 'generation'
  | 'refresh_lease_owner'
  | 'refresh_takeover_owner'
  | 'refresh_started_at'
  | 'refresh_failures'
  | 'next_refresh_attempt_at'
  | 'is_refresh_failing'
  | 'last_refreshed_at'
  | 'recovery_attempts'
  | 'expiry_notified_at'
  | 'company_read_at'
  | 'verification_requested_at',
  GeneratedColumn
>;

/** Columns of an UPDATE, each as a value or as an expression of the database. */
type Updatable<Row> = { [Column in keyof Row]?: Row[Column] | Knex.Raw };

/** What an UPDATE of `oauth_tokens` may set. */
export type OAuthTokenUpdate = Updatable<
  Omit<OAuthTokenRow, 'token_id' | 'organization_id' | 'accounting_system' | 'created_at' | GeneratedColumn>
>;

declare module 'knex/types/tables.js' {
  interface Tables {
    oauth_tokens: Knex.CompositeTableType<OAuthTokenRow, OAuthTokenInsert, OAuthTokenUpdate>;
    oauth_states: Knex.CompositeTableType<OAuthStateRow, Insertable<OAuthStateRow, 'outcome' | 'outcome_detail'>>;
    connection_events: Knex.CompositeTableType<ConnectionEventRow, Omit<ConnectionEventRow, 'position'>, never>;
    webhook_queues: Knex.CompositeTableType<
      WebhookQueueRow,
      Omit<Insertable<WebhookQueueRow, 'attempts'>, 'delivered_position'> & { delivered_position: number | Knex.Raw },
      Updatable<WebhookQueueRow>
    >;
    pending_revocations: Knex.CompositeTableType<
      PendingRevocationRow,
      Insertable<PendingRevocationRow, 'attempts' | 'organization_id'>
    >;
    pending_grants: PendingGrantRow;
    connection_counts: ConnectionCountRow;
  }
}
