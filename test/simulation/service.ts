import type { Knex } from 'knex';
import { buildServices } from '../../src/context.ts';
import { Fernet } from '../../src/crypto/fernet.ts';
import { TokenCipher } from '../../src/crypto/token-cipher.ts';
import { migrateUp } from '../../src/db/migrations.ts';
import { openKnex, type Session } from '../../src/db/session.ts';
import { NO_CIPHERTEXT, type OAuthTokenRow } from '../../src/db/tables.ts';
import type { Ciphertext, ConnectionKey, OrganizationId, RealmId } from '../../src/models/connection.ts';
import { createMetrics } from '../../src/observability/metrics.ts';
import { DIRECT } from '../support/egress.ts';
import { DatabaseConnection } from './database-connection.ts';
import { createErrorLogger } from './error-logger.ts';
import type { Environment, Implementation, Instance, StoredConnection } from './implementation.ts';
import { LaggingCopy } from './lagging-copy.ts';
import { keepPreparedStatements } from './prepared-statements.ts';
import type { Replica } from './replica.ts';
import { SimulatedSession } from './simulated-session.ts';
import { type Mistake, SimulatedStrategy } from './simulated-strategy.ts';

const STATE_SECRETS = ['state-secret-of-the-simulation-0123456789'];

/** The columns that say when a background job has something to do. */
const DUE = [
  ['oauth_tokens', 'next_maintenance_at'],
  ['pending_revocations', 'next_attempt_at'],
  ['pending_grants', 'next_attempt_at'],
];

/** This service, on one SQLite database that stands for all nodes. @param mistake to be detected */
export async function openService(environment: Environment, mistake?: Mistake): Promise<Implementation> {
  const { time } = environment;
  const knex = openKnex({ client: 'sqlite', filename: ':memory:' });
  keepPreparedStatements(knex);
  await migrateUp(knex);
  const laggingCopy = await LaggingCopy.open(knex);
  const encryptionKeys = [Fernet.generateKey()];
  const cipher = new TokenCipher(encryptionKeys);
  const recordEvents = eventRecorder(knex, environment);

  const read = async (organizationId: string): Promise<StoredConnection | undefined> => {
    const { organizationId: organization_id } = keyOf(organizationId);
    const row = await knex('oauth_tokens').where({ organization_id, current_key: 1 }).first();
    return row && toStored(row, cipher);
  };

  const due = DUE.map(([table, column]) => `SELECT 1 FROM ${table} WHERE ${column} <= ?`).join(' UNION ALL ');
  const hasDueJobs = async (): Promise<boolean> => {
    const rows: unknown[] = await knex.raw(
      `SELECT EXISTS (${due}) AS isDue`,
      DUE.map(() => time.now),
    );
    return (rows[0] as { isDue: number }).isDue === 1;
  };

  return {
    startProcess: (replica) => {
      const session = new SimulatedSession({
        knex,
        laggingCopy,
        environment,
        replica,
        connection: new DatabaseConnection(environment, replica),
        onCommit: () => recordEvents(replica),
      });
      return startProcess(environment, replica, { session, encryptionKeys, mistake });
    },
    read: (organizationId) => time.pauseDuring(read(organizationId)),
    hasDueJobs: () => time.pauseDuring(hasDueJobs()),
    beginLag: () => time.pauseDuring(laggingCopy.copy()),
    close: async () => {
      await Promise.all([knex.destroy(), laggingCopy.knex.destroy()]);
    },
  };
}

function startProcess(
  environment: Environment,
  replica: Replica,
  { session, encryptionKeys, mistake }: { session: Session; encryptionKeys: string[]; mistake: Mistake | undefined },
): Instance {
  const { provider, recorder } = environment;
  const services = buildServices({
    session,
    strategies: [new SimulatedStrategy(environment, replica, mistake)],
    encryptionKeys,
    stateSecrets: STATE_SECRETS,
    webhook: undefined,
    egress: DIRECT,
    clock: replica.clock,
    logger: createErrorLogger(recorder, replica),
    metrics: createMetrics(),
  });
  const { tokenManager, oauthService, worker } = services;

  return {
    /** Like the gateway, replaces a token that the provider rejects, once. */
    call: async (organizationId) => {
      const opened = await tokenManager.accessToken(keyOf(organizationId));
      if (provider.acceptsAccessToken(opened.accessToken)) return;
      const replaced = await tokenManager.replaceRejected(opened.connection);
      if (!provider.acceptsAccessToken(replaced.accessToken)) throw new Error('the refreshed token was rejected');
    },
    connect: async (organizationId, code, realmId = organizationId) => {
      const { state, browserSecret } = oauthService.connect(keyOf(organizationId), 'customer');
      await oauthService.callback('quickbooks', { state, code, realmId: realmId as RealmId }, browserSecret);
    },
    disconnect: async (organizationId) => {
      await oauthService.disconnect(keyOf(organizationId), 'customer');
    },
    runJobs: () => worker.tick(),
    stop: async () => {
      services.stop();
      await services.drain();
    },
  };
}

/** Returns a function that reports the events which were committed since it was called before. */
function eventRecorder(knex: Knex, { recorder }: Environment) {
  let lastPosition = 0;
  return async (replica: Replica): Promise<void> => {
    for (const event of await knex('connection_events').where('position', '>', lastPosition).orderBy('position')) {
      if (event.position <= lastPosition) continue; // another process has reported it meanwhile
      lastPosition = event.position;
      const { organization_id: organizationId, type, reason } = event;
      if (isStranger(organizationId)) continue;
      recorder.trace(organizationId, `${replica.name} event ${type} ${reason ?? ''}`);
      if (type === 'lost') recorder.recordLoss(organizationId, reason ?? undefined);
      if (type === 'recovered') recorder.recordRecovery(organizationId);
    }
  };
}

/** Strangers claim companies of others: their connections are to end. */
function isStranger(organizationId: string): boolean {
  return organizationId.startsWith('stranger-');
}

function keyOf(organizationId: string): ConnectionKey {
  return { organizationId: organizationId as OrganizationId, system: 'quickbooks' };
}

function toStored(row: OAuthTokenRow, cipher: TokenCipher): StoredConnection {
  const decrypt = (text: string) => (text === NO_CIPHERTEXT ? '' : cipher.decrypt(text as Ciphertext));
  return {
    isActive: row.is_active === 1,
    accessToken: decrypt(row.access_token),
    refreshToken: decrypt(row.refresh_token),
  };
}
