import type { NewConnectionDatastore, StoredConnection } from '../datastores/new-connection-datastore.ts';
import type { OAuthTokenDatastore } from '../datastores/oauth-token-datastore.ts';
import type { PendingGrantDatastore } from '../datastores/pending-grant-datastore.ts';
import type { ConnectionKey } from '../models/connection.ts';
import { logEvent } from '../observability/event-log.ts';
import type { Logger } from '../observability/logger.ts';
import type { Clock } from '../utils/clock.ts';
import { retry } from '../utils/retry.ts';
import type { Stopwatch } from '../utils/stopwatch.ts';
import { RememberedWrites } from './remembered-writes.ts';

/** Older ones are not stored again: the state that shows whether one was lost is deleted a day after its expiry. */
const MAX_AGE_MS = 12 * 60 * 60_000;

interface Dependencies {
  tokens: OAuthTokenDatastore;
  newConnections: NewConnectionDatastore;
  grants: PendingGrantDatastore;
  clock: Clock;
  logger: Logger;
}

/** Remembers the connections that this process has stored for a while, in case a failover of the database loses them. */
export class NewConnectionRestorer {
  private readonly tokens: OAuthTokenDatastore;
  private readonly newConnections: NewConnectionDatastore;
  private readonly grants: PendingGrantDatastore;
  private readonly clock: Clock;
  private readonly logger: Logger;
  /** Encrypted, each organization's last one. */
  private readonly remembered: RememberedWrites<StoredConnection>;

  constructor(dependencies: Dependencies) {
    this.tokens = dependencies.tokens;
    this.newConnections = dependencies.newConnections;
    this.grants = dependencies.grants;
    this.clock = dependencies.clock;
    this.logger = dependencies.logger;
    this.remembered = new RememberedWrites(dependencies.clock);
  }

  /** Remembers a connection that was committed. */
  remember(committed: Omit<StoredConnection, 'storedAt'>): void {
    this.remembered.set(keyOf(committed.connection), { ...committed, storedAt: this.clock.now() });
  }

  /**
   * Forgets an organization's connection once it is disconnected. Keeps it if the connection that it had replaced was
   * disconnected instead: a failover has lost it, and its grant is still to be revoked.
   * @param endedTokenId the connection that was disconnected; undefined if there was none
   */
  forget(key: ConnectionKey, endedTokenId: string | undefined): void {
    const remembered = this.remembered.get(keyOf(key));
    const isLost = endedTokenId !== undefined && endedTokenId === remembered?.replacedTokenId;
    if (!isLost) this.remembered.delete(keyOf(key));
  }

  /** Stores every remembered connection again that was lost. Waits for the database for as long as it takes. */
  async restoreAll(): Promise<void> {
    await this.remembered.forEachWrite((stored, age) => this.restore(stored, age));
  }

  /** Reads the row of the newest remembered connection, if there is any. @throws AppError `service_unavailable` */
  async readNewest(): Promise<void> {
    const newest = this.remembered.newest();
    if (newest) await this.tokens.findCurrent(newest.connection);
  }

  private async restore(stored: StoredConnection, age: Stopwatch): Promise<void> {
    try {
      await retry(() => this.restoreOnce(stored, age), { clock: this.clock });
    } catch (err) {
      this.log('error', 'connect.restore_failed', stored, { err }); // must not keep the others from being restored
    }
  }

  private async restoreOnce(stored: StoredConnection, age: Stopwatch): Promise<void> {
    const isCurrent = this.remembered.get(keyOf(stored.connection)) === stored; // not disconnected meanwhile
    if (!isCurrent || age.elapsedMs() > MAX_AGE_MS) return;
    const restoration = await this.newConnections.restore(stored);
    if (restoration.kind === 'superseded') await this.endOrphaned(stored);
    if (restoration.kind !== 'restored') return;
    this.log('warn', 'connect.restored', stored);
    logEvent(this.logger, restoration.ended.event);
    // A revocation that was recorded again is left to the worker: the database is not restored yet.
  }

  /** Has the worker revoke the grant of a connection that is not stored again. */
  private async endOrphaned(stored: StoredConnection): Promise<void> {
    const { connection } = stored;
    await this.grants.recordOrphaned(connection);
    if (this.remembered.get(keyOf(connection)) === stored) this.forget(connection, connection.tokenId);
    this.log('warn', 'connect.not_restored', stored);
  }

  private log(level: 'warn' | 'error', event: string, { connection }: StoredConnection, facts: object = {}): void {
    const { organizationId, realmId } = connection;
    this.logger[level]({ event, organization_id: organizationId, realm_id: realmId, ...facts }, event);
  }
}

function keyOf({ organizationId, system }: ConnectionKey): string {
  return `${system} ${organizationId}`;
}
