import { ConnectionEventDatastore } from '../../src/datastores/connection-event-datastore.ts';
import { OAuthTokenDatastore } from '../../src/datastores/oauth-token-datastore.ts';
import { PendingRevocationDatastore } from '../../src/datastores/pending-revocation-datastore.ts';
import type { Session } from '../../src/db/session.ts';

/** `oauth_tokens` with the tables that its changes are told and noted in. */
export function openTokens(session: Session, now: () => Date): OAuthTokenDatastore {
  const events = new ConnectionEventDatastore(session, now, () => undefined, false);
  return new OAuthTokenDatastore(session, events, new PendingRevocationDatastore(session, now), now);
}
