import { OAuthStates } from '../../src/auth/oauth-states.ts';
import { Fernet } from '../../src/crypto/fernet.ts';
import { ConnectionEventDatastore } from '../../src/datastores/connection-event-datastore.ts';
import { CareDatastore } from '../../src/datastores/maintenance-datastore.ts';
import { OAuthStateDatastore } from '../../src/datastores/oauth-state-datastore.ts';
import { OAuthTokenDatastore } from '../../src/datastores/oauth-token-datastore.ts';
import { PendingRevocationDatastore } from '../../src/datastores/pending-revocation-datastore.ts';
import { migrateUp } from '../../src/db/migrations.ts';
import { openKnex, Session } from '../../src/db/session.ts';
import { Caretaker } from '../../src/jobs/maintenance-job.ts';
import { Worker } from '../../src/jobs/worker.ts';
import type { Logger } from '../../src/observability/logger.ts';
import { createMetrics } from '../../src/observability/metrics.ts';
import { GrantRevoker } from '../../src/services/grant-revoker.ts';
import { OAuthService } from '../../src/services/oauth-service.ts';
import { TokenManager } from '../../src/services/token-manager.ts';
import { InFlight } from '../../src/utils/background-tasks.ts';
import { DatabaseLink } from './database-link.ts';
import type { Handler, Instance, Stored, Surroundings } from './handler.ts';
import { observeEvents, quietLogger } from './observers.ts';
import { ProviderLink, TIMEOUT_MS } from './provider-link.ts';
import type { Replica } from './replica.ts';
import { SimulatedSession } from './simulated-session.ts';

const STATE_SECRET = 'a secret of the simulation alone, long enough';

/** This service: its own parts on one SQLite database, put together as `context.ts` does. */
export async function openOurs(surroundings: Surroundings): Promise<Handler> {
  const { time, random, conditions } = surroundings;
  const knex = openKnex({ client: 'sqlite', filename: ':memory:' });
  await migrateUp(knex);
  const fernet = new Fernet([Fernet.generateKey()]);
  const direct = new Session(knex, 'sqlite');

  const open = async (organizationId: string): Promise<Stored | undefined> => {
    const row = await direct.query((db) =>
      db('oauth_tokens').where({ organization_id: organizationId, current_key: 1 }).first(),
    );
    const decrypt = (ciphertext: string) => (ciphertext === '' ? '' : fernet.decrypt(ciphertext));
    return (
      row && {
        isActive: row.is_active === 1,
        accessToken: decrypt(row.access_token),
        refreshToken: decrypt(row.refresh_token),
      }
    );
  };

  return {
    start: (replica) => {
      const link = new DatabaseLink(time, random, conditions.database, replica);
      return startOurs(surroundings, new SimulatedSession(knex, time, link), fernet, replica);
    },
    read: (organizationId) => time.still(open(organizationId)),
    close: () => direct.close(),
  };
}

function startOurs(surroundings: Surroundings, session: Session, fernet: Fernet, replica: Replica): Instance {
  const { time, random, conditions, provider, ledger } = surroundings;
  const { now } = replica;
  const logger: Logger = quietLogger(ledger, replica);
  const metrics = createMetrics();
  const inFlight = new InFlight();
  const strategy = new ProviderLink(time, random, conditions, provider, replica, ledger);

  const events = observeEvents(new ConnectionEventDatastore(session, now, () => undefined, false), ledger, replica);
  const revocations = new PendingRevocationDatastore(session, now);
  const tokens = new OAuthTokenDatastore(session, events, revocations, now);
  const states = new OAuthStateDatastore(session);
  const revoker = new GrantRevoker(strategy, tokens, revocations, fernet, logger, now);
  const tokenManager = new TokenManager(strategy, tokens, fernet, revoker, inFlight, logger, metrics, now, TIMEOUT_MS);
  const service = new OAuthService(
    strategy,
    tokens,
    events,
    states,
    new OAuthStates([STATE_SECRET], now),
    fernet,
    revoker,
    inFlight,
    logger,
    TIMEOUT_MS,
  );
  const caretaker = new Caretaker(strategy, new CareDatastore(session, events, now), tokenManager, logger, now);
  const worker = new Worker(
    { caretaker, revocations, revoker, webhooks: undefined, states, events },
    logger,
    metrics,
    now,
  );

  return {
    /** As the gateway does: a token that the provider refuses is renewed, once. */
    call: async (organizationId) => {
      const opened = await tokenManager.accessToken(organizationId);
      if (provider.opens(opened.accessToken)) return;
      const renewed = await tokenManager.replaceRefused(opened.connection);
      if (!provider.opens(renewed.accessToken)) throw new Error('refused a token that was just renewed');
    },
    connect: async (organizationId, realmId, code) => {
      const { state, browserSecret } = service.connect(organizationId, 'customer');
      await service.callback({ state, code, realmId }, browserSecret);
    },
    disconnect: (organizationId) => service.disconnect(organizationId, 'customer'),
    work: () => worker.tick(),
    stop: async () => {
      await worker.stop();
      await inFlight.settled();
    },
  };
}
