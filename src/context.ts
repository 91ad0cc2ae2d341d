import { CallerAuthenticator } from './auth/caller-authenticator.ts';
import { Confirmations } from './auth/confirmations.ts';
import { ConnectLinks } from './auth/connect-links.ts';
import { OAuthStates } from './auth/oauth-states.ts';
import { ReturnPages } from './auth/return-pages.ts';
import type { Config } from './config/config.ts';
import { TokenCipher } from './crypto/token-cipher.ts';
import { ConnectionEventDatastore } from './datastores/connection-event-datastore.ts';
import { ConnectionImportDatastore } from './datastores/connection-import-datastore.ts';
import { ConnectionListDatastore } from './datastores/connection-list-datastore.ts';
import { ConnectionReader } from './datastores/connection-reader.ts';
import { HealthDatastore } from './datastores/health-datastore.ts';
import { MaintenanceDatastore } from './datastores/maintenance-datastore.ts';
import { NewConnectionDatastore } from './datastores/new-connection-datastore.ts';
import { OAuthStateDatastore } from './datastores/oauth-state-datastore.ts';
import { OAuthTokenDatastore } from './datastores/oauth-token-datastore.ts';
import { OrganizationDatastore } from './datastores/organization-datastore.ts';
import { PendingGrantDatastore } from './datastores/pending-grant-datastore.ts';
import { PendingRevocationDatastore } from './datastores/pending-revocation-datastore.ts';
import { RefreshDatastore } from './datastores/refresh-datastore.ts';
import { StatisticsDatastore } from './datastores/statistics-datastore.ts';
import { WebhookQueueDatastore } from './datastores/webhook-queue-datastore.ts';
import { DatabaseClock } from './db/database-clock.ts';
import { openSession, type Session } from './db/session.ts';
import { Egress } from './egress/egress.ts';
import { CleanUpJob } from './jobs/clean-up-job.ts';
import type { Job } from './jobs/job.ts';
import { MaintenanceJob } from './jobs/maintenance-job.ts';
import { PendingGrantJob } from './jobs/pending-grant-job.ts';
import { RevocationJob } from './jobs/revocation-job.ts';
import { WebhookJob } from './jobs/webhook-job.ts';
import { Worker } from './jobs/worker.ts';
import { createRateLimits } from './middleware/rate-limit.ts';
import { createSharedStore } from './middleware/shared-rate-limits.ts';
import { DatabaseGauges } from './observability/database-gauges.ts';
import { EncryptionKeyCheck } from './observability/encryption-key-check.ts';
import { Health } from './observability/health.ts';
import type { Logger } from './observability/logger.ts';
import { createMetrics, type Metrics } from './observability/metrics.ts';
import { MetricsPage } from './observability/metrics-page.ts';
import { RedisConnection } from './redis/redis-connection.ts';
import { CallbackFlow } from './services/callback-flow.ts';
import { ConnectFailures } from './services/connect-failures.ts';
import { ConnectionChanges } from './services/connection-changes.ts';
import { ConnectionImporter } from './services/connection-importer.ts';
import { ConnectionVerifier } from './services/connection-verifier.ts';
import { FailoverRestorer } from './services/failover-restorer.ts';
import { CompanyLimiter } from './services/gateway/company-limiter.ts';
import { ConnectionProofs } from './services/gateway/connection-proofs.ts';
import { Gateway } from './services/gateway/gateway.ts';
import { LocalCallSchedule } from './services/gateway/local-call-schedule.ts';
import { SharedCallSchedule } from './services/gateway/shared-call-schedule.ts';
import { GrantCompleter } from './services/grant-completer.ts';
import { GrantReceiver } from './services/grant-receiver.ts';
import { GrantRevoker } from './services/grant-revoker.ts';
import { MaintenanceSchedule } from './services/maintenance-schedule.ts';
import { NewConnectionRestorer } from './services/new-connection-restorer.ts';
import { OAuthService } from './services/oauth-service.ts';
import { OrganizationEraser } from './services/organization-eraser.ts';
import { RefreshCooldown } from './services/refresh-cooldown.ts';
import { RefreshFailures } from './services/refresh-failures.ts';
import { RefreshLeases } from './services/refresh-leases.ts';
import { RefreshSaver } from './services/refresh-saver.ts';
import { TokenManager } from './services/token-manager.ts';
import { TokenRefresher } from './services/token-refresher.ts';
import type { AccountingStrategy } from './strategies/accounting-strategy.ts';
import { createStrategies, StrategyRegistry } from './strategies/strategy-registry.ts';
import { BackgroundTasks } from './utils/background-tasks.ts';
import { type Clock, systemClock } from './utils/clock.ts';
import { MemoryBudget } from './utils/memory-budget.ts';

const MIB = 1024 * 1024;
/** What the bodies of all requests that are being processed may occupy together, and those of one organization at the gateway. */
const BODY_MEMORY = { maxBytes: 64 * MIB, maxBytesPerOwner: 32 * MIB };

/** What the services are built on. */
export interface ServiceDependencies {
  session: Session;
  strategies: readonly AccountingStrategy[];
  encryptionKeys: readonly string[];
  stateSecrets: readonly string[];
  /** Whether a connection takes effect only after the frontend has confirmed it. */
  connectConfirmation?: boolean;
  /** Where users start; absent if it is not known. */
  frontendUrl?: string;
  /** Where events are posted; absent if they are not. */
  webhook: Config['webhook'];
  /** Limits the calls that verify a company; absent if they are not limited. */
  companyLimiter?: CompanyLimiter;
  /** How webhooks reach their receiver. */
  egress: Egress;
  clock: Clock;
  logger: Logger;
  metrics: Metrics;
  /** Pause of a job between two calls to a provider, in milliseconds: a few calls per second from each replica. */
  jobPauseMs?: number;
}

export type Services = ReturnType<typeof buildServices>;

/** Builds everything between the database and the providers, for the server, the worker, the simulation and the tests. */
export function buildServices(dependencies: ServiceDependencies) {
  const {
    session,
    encryptionKeys,
    stateSecrets,
    connectConfirmation: needsConfirmation = false,
    frontendUrl,
    webhook,
    companyLimiter,
    egress,
    clock,
    logger,
    metrics,
    jobPauseMs: pauseMs = 300,
  } = dependencies;
  const strategies = new StrategyRegistry(dependencies.strategies);
  const cipher = new TokenCipher(encryptionKeys);
  const backgroundTasks = new BackgroundTasks();

  const queues = new WebhookQueueDatastore(session);
  const events = new ConnectionEventDatastore({ session, clock, outbox: webhook && queues });
  const revocations = new PendingRevocationDatastore({ session, clock });
  const tokens = new OAuthTokenDatastore({ session, clock, events, revocations });
  const refreshes = new RefreshDatastore({ session, clock, events });
  const connections = new MaintenanceDatastore({ session, clock, events });
  const reader = new ConnectionReader({ session, clock });
  const connectionList = new ConnectionListDatastore({ session, clock });
  const consumedStates = new OAuthStateDatastore({ session, events });
  const grants = new PendingGrantDatastore({ session, clock, tokens, states: consumedStates, events, revocations });

  const shared = { strategies, tokens, refreshes, reader, cipher, clock, logger };
  const revoker: GrantRevoker = new GrantRevoker({
    ...shared,
    grants,
    pending: revocations,
    isRestored: () => failover.isRestored,
  });
  const cooldown = new RefreshCooldown(clock);
  const leases = new RefreshLeases({ refreshes, backgroundTasks, clock });
  const saver = new RefreshSaver({ ...shared, grants, revoker });
  const committed = new NewConnectionDatastore({ session, tokens, states: consumedStates });
  const newConnections = new NewConnectionRestorer({ ...shared, newConnections: committed, grants });
  const failover = new FailoverRestorer({ newConnections, saver, backgroundTasks, clock, logger });
  session.servers.addListener(failover);
  const schedule = new MaintenanceSchedule({ strategies, clock });
  const failures = new RefreshFailures({ ...shared, leases, saver, schedule, cooldown, metrics });
  const refresher = new TokenRefresher({ ...shared, leases, saver, failover, failures, schedule, cooldown, metrics });
  const tokenManager = new TokenManager({ ...shared, refresher, cooldown, backgroundTasks });
  const verifier = new ConnectionVerifier({ ...shared, connections, tokenManager, companyLimiter });
  const states = new OAuthStates(stateSecrets, clock);
  const confirmations = new Confirmations(stateSecrets);
  const changes = new ConnectionChanges({ ...shared, revoker, backgroundTasks });
  const completer = new GrantCompleter({
    ...shared,
    grants,
    consumedStates,
    revoker,
    changes,
    newConnections,
    needsConfirmation,
    companyLimiter,
  });
  const receiver = new GrantReceiver({ ...shared, grants, completer, revoker, backgroundTasks });
  const flow = { ...shared, events, consumedStates, states, confirmations };
  const callbackFlow = new CallbackFlow({ ...flow, receiver, failures: new ConnectFailures(flow), frontendUrl });
  const oauthService = new OAuthService({
    ...flow,
    connections,
    grants,
    callbackFlow,
    completer,
    changes,
    newConnections,
    failover,
    backgroundTasks,
  });

  const imports = new ConnectionImportDatastore({ session, tokens });
  const importer = new ConnectionImporter({ ...shared, imports, events, tokenManager, verifier, changes });
  const organizations = new OrganizationDatastore(session);
  const eraser = new OrganizationEraser({
    ...shared,
    grants,
    organizations,
    revocations,
    oauthService,
    completer,
    revoker,
    backgroundTasks,
  });

  const webhookJob = webhook && new WebhookJob({ receiver: webhook, events, queues, egress, clock, logger });
  const jobs = [
    new MaintenanceJob({ ...shared, connections, tokenManager, verifier, pauseMs }),
    new PendingGrantJob({ ...shared, grants, completer, pauseMs }),
    new RevocationJob({ strategies, pending: revocations, revoker, clock, pauseMs }),
    ...(webhookJob ? [webhookJob] : []),
    new CleanUpJob({ states: consumedStates, events, clock }),
  ] as Job[];
  const healthDatastore = new HealthDatastore(session);
  const encryptionKey = new EncryptionKeyCheck({ database: healthDatastore, cipher, metrics, clock });
  const worker = new Worker({ jobs, encryptionKey, clock, logger, metrics });

  return {
    strategies,
    cipher,
    tokens,
    refreshes,
    events,
    grants,
    connectionList,
    revocations,
    tokenManager,
    verifier,
    importer,
    eraser,
    states,
    oauthService,
    encryptionKey,
    healthDatastore,
    worker,
    backgroundTasks,
    /** Begins no more work that the end of the process would interrupt. */
    stop: () => {
      tokenManager.stop();
      receiver.stop();
      webhookJob?.stop();
    },
    /** Whether the process ends with a new grant that it could neither store nor revoke. */
    hasLostGrant: () => receiver.hasLostGrant,
    /** Waits for the work that outlives its request. */
    drain: async () => {
      receiver.stop();
      failover.stop();
      await worker.stop();
      await backgroundTasks.drain();
      await webhookJob?.close();
    },
  };
}

/** Everything that the service consists of. */
export type Context = ReturnType<typeof createContext>;

/** What tests replace. */
interface ContextOptions {
  clock?: Clock;
  strategies?: readonly AccountingStrategy[];
  jobPauseMs?: number;
}

/** The composition root: builds every part once and passes it what it needs. Opens no connection. */
export function createContext(config: Config, logger: Logger, options: ContextOptions = {}) {
  const onDifference = (differenceMs: number) => {
    logger.warn({ event: 'clock.wrong', difference_ms: Math.round(differenceMs) }, 'clock.wrong');
  };
  const { clock = new DatabaseClock(systemClock, onDifference), jobPauseMs } = options;
  const egress = new Egress(config.egress, clock);
  const { strategies = createStrategies(config, egress, clock) } = options;
  const session = openSession(config.database, clock);
  const metrics = createMetrics();
  const redis = config.rateLimits.redis && new RedisConnection({ redis: config.rateLimits.redis, clock, logger });
  const local = new LocalCallSchedule(clock);
  const schedule = redis ? new SharedCallSchedule({ redis, local, clock }) : local;
  const companyLimiter = new CompanyLimiter({ schedule, clock, metrics });
  const services = buildServices({
    session,
    strategies,
    encryptionKeys: config.encryptionKeys,
    stateSecrets: config.stateSecrets,
    connectConfirmation: config.connectConfirmation,
    frontendUrl: config.frontendUrl,
    webhook: config.webhook,
    companyLimiter,
    egress,
    clock,
    logger,
    metrics,
    ...(jobPauseMs === undefined ? {} : { jobPauseMs }),
  });
  const { encryptionKey, healthDatastore } = services;
  const health = new Health({ database: healthDatastore, encryptionKey, clock, logger, metrics });
  const bodyMemory = new MemoryBudget(BODY_MEMORY);
  const gateway = new Gateway({
    ...services,
    proofs: new ConnectionProofs(services),
    companyLimiter,
    bodyMemory,
    egress,
    clock,
    logger,
  });
  const databaseGauges = new DatabaseGauges({ statistics: new StatisticsDatastore(session), metrics, clock });
  const { perMinute } = config.rateLimits;

  return {
    ...services,
    config,
    logger,
    metrics,
    clock,
    session,
    health,
    gateway,
    metricsPage: new MetricsPage({ metrics, databaseGauges, health, clock }),
    authenticator: new CallerAuthenticator(config.callers, egress, clock),
    bodyMemory,
    links: new ConnectLinks(config.stateSecrets, clock),
    returnPages: new ReturnPages(config.frontendUrls),
    rateLimits: createRateLimits(perMinute, (name) => redis && createSharedStore(name, redis)),
    /** Waits for unfinished work, then closes every connection. */
    close: async () => {
      await services.drain();
      await gateway.close();
      redis?.close();
      await session.close();
    },
  };
}
