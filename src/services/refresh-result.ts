import type { ActiveConnection, Connection } from '../models/connection.ts';
import type { ProviderError } from '../strategies/provider-error.ts';

/**
 * How a refresh ended.
 * - `current`: the connection has new tokens, from this process or another one.
 * - `deferred`: the provider was not called; a retry makes sense after `retryAfterSeconds`.
 * - `failed`: the provider was called and failed; the connection is unchanged.
 * - `ended`: the connection is lost, disconnected or replaced.
 */
export type RefreshResult =
  | { outcome: 'current'; connection: ActiveConnection }
  | { outcome: 'deferred'; cause: 'provider_unavailable' | 'provider_error'; retryAfterSeconds?: number }
  | { outcome: 'failed'; error: ProviderError; retryAfterSeconds?: number }
  | { outcome: 'ended'; connection: Connection | undefined };

/** The provider was not called. */
export const DEFERRED = { outcome: 'deferred', cause: 'provider_unavailable' } as const;

/** True if the provider failed in a way that the refresh of any other connection would meet as well. */
export function isProviderDown({ failure }: ProviderError): boolean {
  return failure !== 'rejected' && failure !== 'request_rejected';
}

/** A refresh's result, as the connection's current row shows it. */
export function toResult(connection: Connection | undefined): RefreshResult {
  return connection?.state === 'active' ? { outcome: 'current', connection } : { outcome: 'ended', connection };
}

/** True if no process changed the connection between two reads. */
export function isUnchanged(a: Connection, b: Connection): boolean {
  return a.tokenId === b.tokenId && a.generation === b.generation;
}
