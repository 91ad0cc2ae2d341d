import type { AccountingSystem } from './connection.ts';

/** What can happen to a connection. Renewals that succeed are not events. */
export type ConnectionEventType =
  | 'connected'
  | 'reconnected'
  | 'disconnected'
  | 'lost'
  | 'recovered'
  | 'expiring'
  | 'refresh_failing'
  | 'refresh_recovered'
  | 'company_mismatch'
  | 'consent_refused';

/** The actor of what nobody asked for. */
export const SERVICE = 'service';

/** One thing that happened to an organization's connection. */
export interface ConnectionEvent {
  organizationId: string;
  system: AccountingSystem;
  type: ConnectionEventType;
  reason?: string | undefined;
  realmId?: string | undefined;
  /** Who acted: an API key's name, a JWT's subject, `browser` or `service`. */
  actor: string;
  intuitTid?: string | undefined;
}

/** An event as it is told. */
export interface RecordedEvent extends ConnectionEvent {
  eventId: string;
  occurredAt: Date;
  /** Where it stands in the order of all events. */
  position: number;
}
