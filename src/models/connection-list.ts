import type { RealmId } from './connection.ts';

/**
 * Which connections are listed.
 * - `active`: includes the two below.
 * - `refresh_failing`: its refresh fails, and no valid access token is left.
 * - `expiring`: its authorization ends within 30 days.
 */
export type ListedState = 'active' | 'lost' | 'refresh_failing' | 'expiring';

/** What the listed connections have in common. */
export interface ConnectionFilter {
  state?: ListedState | undefined;
  realmId?: RealmId | undefined;
}
