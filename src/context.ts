import { Callers } from './auth/caller-authenticator.ts';
import { ConnectLinks } from './auth/connect-links.ts';
import { OAuthStates } from './auth/oauth-states.ts';
import type { Config } from './config/config.ts';
import { Fernet } from './crypto/fernet.ts';
import { ConnectionEventDatastore } from './datastores/connection-event-datastore.ts';
import { CareDatastore } from './datastores/maintenance-datastore.ts';
import { MigrationDatastore } from './datastores/migration-datastore.ts';
import { OAuthStateDatastore } from './datastores/oauth-state-datastore.ts';
import { OAuthTokenDatastore } from './datastores/oauth-token-datastore.ts';
import { PendingRevocationDatastore } from './datastores/pending-revocation-datastore.ts';
import { OverviewDatastore } from './datastores/statistics-datastore.ts';
import { WebhookQueueDatastore } from './datastores/webhook-queue-datastore.ts';
import { migrateUp } from './db/migrations.ts';
import { openSession } from './db/session.ts';
import { Caretaker } from './jobs/maintenance-job.ts';
import { Webhooks } from './jobs/webhook-job.ts';
import { Worker } from './jobs/worker.ts';
import { createRateLimits } from './middleware/rate-limit.ts';
import { SharedCounts } from './middleware/shared-rate-limits.ts';
import type { ConnectionEvent } from './models/connection-event.ts';
import { OverviewGauges } from './observability/database-gauges.ts';
import { logEvent } from './observability/event-log.ts';
import { Health } from './observability/health.ts';
import type { Logger } from './observability/logger.ts';
import { createMetrics } from './observability/metrics.ts';
import { Gateway } from './services/gateway.ts';
import { GrantRevoker } from './services/grant-revoker.ts';
import { OAuthService } from './services/oauth-service.ts';
import { TokenManager } from './services/token-manager.ts';
import { createStrategy } from './strategies/strategy-registry.ts';
import { InFlight } from './utils/background-tasks.ts';

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
