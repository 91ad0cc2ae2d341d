import type { ConnectionKey, RealmId } from './connection.ts';

/** What can happen to a connection. Successful refreshes are not events. */
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
  | 'consent_refused'
  | 'connect_failed'
  | 'confirmation_expired'
  | 'imported';

/** The actor of what the service does by itself. */
export const SERVICE = 'service';

/** The actor of what an operator does by a command. */
export const OPERATOR = 'operator';

/** Something that happened to an organization's connection. */
export interface ConnectionEvent extends ConnectionKey {
  type: ConnectionEventType;
  reason?: string | undefined;
  realmId?: RealmId | undefined;
  /** An API key's name, a JWT's subject, `browser`, `service` or `operator`. */
  actor: string;
  intuitTid?: string | undefined;
}

/** An event as it is stored. */
export interface RecordedEvent extends ConnectionEvent {
  eventId: string;
  occurredAt: Date;
  /** Its place in the order of all events. */
  position: number;
}
