import { isDuplicate } from '../db/database-errors.ts';
import type { Session } from '../db/session.ts';

/** `oauth_states`: the IDs of the states and connect links that were consumed. */
export class OAuthStateDatastore {
  private readonly session: Session;

  constructor(session: Session) {
    this.session = session;
  }

  /** Consumes a state or link for every replica. False if it was consumed before. */
  async consume(stateId: string, expiresAt: Date): Promise<boolean> {
    try {
      await this.session.query((db) => db('oauth_states').insert({ state_id: stateId, expires_at: expiresAt }));
      return true;
    } catch (error) {
      if (isDuplicate(error)) return false;
      throw error;
    }
  }

  /** Returns the IDs of states that expired before an instant, oldest first. */
  async listExpired(instant: Date, limit: number): Promise<string[]> {
    return this.session.query((db) =>
      db('oauth_states').where('expires_at', '<', instant).orderBy('expires_at').limit(limit).pluck('state_id'),
    );
  }

  async delete(stateIds: string[]): Promise<void> {
    await this.session.query((db) => db('oauth_states').whereIn('state_id', stateIds).delete());
  }
}
