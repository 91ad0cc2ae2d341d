import type { Config } from './config.ts';
import { CareDatastore } from './datastores/care-datastore.ts';
import { ConnectionEventDatastore } from './datastores/connection-event-datastore.ts';
import { MigrationDatastore } from './datastores/migration-datastore.ts';
import { OAuthStateDatastore } from './datastores/oauth-state-datastore.ts';
import { OAuthTokenDatastore } from './datastores/oauth-token-datastore.ts';
import { OverviewDatastore } from './datastores/overview-datastore.ts';
import { PendingRevocationDatastore } from './datastores/pending-revocation-datastore.ts';
import { WebhookQueueDatastore } from './datastores/webhook-queue-datastore.ts';
import { migrateUp } from './db/migrations.ts';
import { openSession } from './db/session.ts';
import type { Logger } from './logger.ts';
import { createMetrics } from './metrics.ts';
import { createRateLimits } from './middleware/rate-limit.ts';
import { SharedCounts } from './middleware/shared-counts.ts';
import type { ConnectionEvent } from './models/connection-event.ts';
import { Callers } from './services/callers.ts';
import { Caretaker } from './services/caretaker.ts';
import { logEvent } from './services/event-log.ts';
import { Gateway } from './services/gateway.ts';
import { GrantRevoker } from './services/grant-revoker.ts';
import { Health } from './services/health.ts';
import { OAuthService } from './services/oauth-service.ts';
import { OverviewGauges } from './services/overview-gauges.ts';
import { TokenManager } from './services/token-manager.ts';
import { Webhooks } from './services/webhooks.ts';
import { Worker } from './services/worker.ts';
import { createStrategy } from './strategies/factory.ts';
import { ConnectLinks } from './utils/connect-link.ts';
import { Fernet } from './utils/fernet.ts';
import { InFlight } from './utils/in-flight.ts';
import { OAuthStates } from './utils/oauth-state.ts';

/** Everything that the service is made of. */
export type Context = Awaited<ReturnType<typeof createContext>>;

/** The composition root: builds every part once and hands each what it needs. @param times of real time, that tests shorten */
export async function createContext(
  config: Config,
  logger: Logger,
  now: () => Date = () => new Date(),
  times: { workerPaceMs?: number; webhookTimeoutMs?: number } = {},
) {
  const session = openSession(config.database);
  if (!config.production) await session.query(migrateUp); // production is migrated by its operators
  if (config.production && config.database.client === 'sqlite') {
    logger.warn('SQLite serves one replica alone: use MySQL for more');
  }
  if (config.callers.disabled) {
    logger.warn('AUTH_DISABLED IS TRUE: ANYONE WHO REACHES THIS SERVICE ACTS FOR EVERY ORGANIZATION');
  }

  const metrics = createMetrics();
  const inFlight = new InFlight();
  const fernet = new Fernet(config.encryptionKeys);
  const strategy = createStrategy('quickbooks', config, now);

  const told = (event: ConnectionEvent) => {
    logEvent(logger, event);
    webhooks?.announce(event.organizationId);
  };
  const events = new ConnectionEventDatastore(session, now, told, config.webhook !== undefined);
  const revocations = new PendingRevocationDatastore(session, now);
  const tokens = new OAuthTokenDatastore(session, events, revocations, now);
  const states = new OAuthStateDatastore(session);

  const { timeoutMs } = config.quickbooks;
  const revoker = new GrantRevoker(strategy, tokens, revocations, fernet, logger, now);
  const tokenManager = new TokenManager(strategy, tokens, fernet, revoker, inFlight, logger, metrics, now, timeoutMs);
  const oauthService = new OAuthService(
    strategy,
    tokens,
    events,
    states,
    new OAuthStates(config.stateSecrets, now),
    fernet,
    revoker,
    inFlight,
    logger,
    timeoutMs,
  );
  const health = new Health(new MigrationDatastore(session));
  const gateway = new Gateway(tokenManager, config.quickbooks, logger);
  const queues = new WebhookQueueDatastore(session);
  const webhooks =
    config.webhook && new Webhooks(config.webhook, events, queues, inFlight, logger, now, times.webhookTimeoutMs);
  const caretaker = new Caretaker(strategy, new CareDatastore(session, events, now), tokenManager, logger, now);
  const worker = new Worker(
    { caretaker, revocations, revoker, webhooks, states, events },
    logger,
    metrics,
    now,
    times.workerPaceMs,
  );

  const sharedCounts = config.rateLimits.redisUrl ? new SharedCounts(config.rateLimits.redisUrl, logger) : undefined;
  const rateLimits = createRateLimits(config.rateLimits.perMinute, (name) => sharedCounts?.createStore(name));

  return {
    config,
    logger,
    metrics,
    now,
    health,
    overview: new OverviewGauges(new OverviewDatastore(session), metrics, now),
    oauthService,
    gateway,
    worker,
    callers: new Callers(config.callers),
    connectLinks: new ConnectLinks(config.stateSecrets, now),
    rateLimits,
    /** Takes no new work that a stop would cut off. */
    stop: () => {
      health.stop();
      tokenManager.stop();
      webhooks?.stop();
    },
    /** Waits for the work that outlives its request, then lets the database go. */
    close: async () => {
      await worker.stop();
      await inFlight.settled();
      await webhooks?.close();
      await gateway.close();
      sharedCounts?.close();
      await session.close();
    },
  };
}
