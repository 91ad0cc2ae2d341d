import { loadDatabaseConfig, loadOperatorConfig, readEnvironment } from '../../config/config.ts';
import { buildServices, type Services } from '../../context.ts';
import { ConnectionEventDatastore } from '../../datastores/connection-event-datastore.ts';
import { ConnectionListDatastore } from '../../datastores/connection-list-datastore.ts';
import { OAuthTokenDatastore } from '../../datastores/oauth-token-datastore.ts';
import { PendingRevocationDatastore } from '../../datastores/pending-revocation-datastore.ts';
import { DatabaseClock } from '../../db/database-clock.ts';
import { openSession } from '../../db/session.ts';
import { Egress } from '../../egress/egress.ts';
import { createLogger } from '../../observability/logger.ts';
import { createMetrics } from '../../observability/metrics.ts';
import { createStrategies } from '../../strategies/strategy-registry.ts';
import { type Clock, systemClock } from '../../utils/clock.ts';
import { CommandError } from '../command-error.ts';

/** What a verb reads the database with, if it uses no token. */
export interface Readers {
  clock: Clock;
  connectionList: ConnectionListDatastore;
  events: ConnectionEventDatastore;
  tokens: OAuthTokenDatastore;
}

/** What a verb acts with. */
export type OperatorServices = Services & {
  clock: Clock;
  /** Aborted when the user interrupts the command: what has begun is finished first. */
  interrupted: AbortSignal;
};

/** Runs a verb that only reads. It needs only DATABASE_URL. */
export async function withReaders(work: (readers: Readers) => Promise<void>): Promise<void> {
  const clock = new DatabaseClock(systemClock);
  const session = openSession(loadDatabaseConfig(readEnvironment()), clock);
  try {
    const shared = { session, clock };
    const events = new ConnectionEventDatastore({ ...shared, outbox: undefined });
    const revocations = new PendingRevocationDatastore(shared);
    const tokens = new OAuthTokenDatastore({ ...shared, events, revocations });
    await work({ connectionList: new ConnectionListDatastore(shared), events, tokens, clock });
  } finally {
    await session.close();
  }
}

/**
 * Runs a verb that uses tokens.
 * @param readsCompanies whether it calls the provider's API
 * @param system the accounting system that it acts on; absent: all
 * @throws CommandError for a system that this version does not have, or a wrong ENCRYPTION_KEY, before anything is changed
 */
export async function withServices(
  { readsCompanies, system }: { readsCompanies: boolean; system?: string },
  work: (services: OperatorServices) => Promise<void>,
): Promise<void> {
  const config = loadOperatorConfig(readEnvironment(), { readsCompanies });
  const clock = new DatabaseClock(systemClock);
  const session = openSession(config.database, clock);
  const egress = new Egress(config.egress, clock);
  const services = buildServices({
    session,
    strategies: createStrategies(config, egress, clock),
    encryptionKeys: config.encryptionKeys,
    stateSecrets: [], // no verb starts a flow
    webhook: config.webhook,
    egress,
    clock,
    logger: await createLogger({ logLevel: 'silent', production: true }, process.stderr),
    metrics: createMetrics(),
  });
  try {
    if (system !== undefined) requireSystem(services, system);
    await requireKey(services);
    await work({ ...services, clock, interrupted: interruption() });
  } finally {
    await services.drain();
    await session.close();
  }
}

function requireSystem({ strategies }: Services, system: string): void {
  const known = strategies.systems();
  if (!known.includes(system)) {
    throw new CommandError(`This version has no accounting system ${system}, only ${known.join(', ')}.`);
  }
}

async function requireKey({ encryptionKey }: Services): Promise<void> {
  if (await encryptionKey.isValid()) return;
  throw new CommandError('ENCRYPTION_KEY cannot decrypt the stored tokens: nothing was changed.');
}

/** An interrupted refresh can end a connection, so that a signal only asks the verb to stop. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => controller.abort());
  return controller.signal;
}
