import { isDuplicate } from '../db/database-errors.ts';
import type { Session } from '../db/session.ts';

/** `oauth_states`: the ids of states and connect links already used. */
export class OAuthStateDatastore {
  constructor(private readonly session: Session) {}

  /** Uses the state up, for every replica and from this moment on. False where it was used before. */
  async spend(stateId: string, expiresAt: Date): Promise<boolean> {
    try {
      await this.session.query((db) => db('oauth_states').insert({ state_id: stateId, expires_at: expiresAt }));
      return true;
    } catch (error) {
      if (isDuplicate(error)) return false;
      throw error;
    }
  }

  /** Deletes some of the states that are of no use any more. */
  async deleteExpired(now: Date, most: number): Promise<void> {
    const expired = await this.session.query((db) =>
      db('oauth_states').where('expires_at', '<', now).orderBy('expires_at').limit(most).pluck('state_id'),
    );
    if (expired.length > 0) await this.session.query((db) => db('oauth_states').whereIn('state_id', expired).delete());
  }
}
