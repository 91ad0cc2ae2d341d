import type { NewConnectionDatastore, StoredConnection } from '../datastores/new-connection-datastore.ts';
import type { OAuthTokenDatastore } from '../datastores/oauth-token-datastore.ts';
import type { ConnectionKey } from '../models/connection.ts';
import { logEvent } from '../observability/event-log.ts';
import type { Logger } from '../observability/logger.ts';
import type { Clock } from '../utils/clock.ts';
import { retry } from '../utils/retry.ts';
import { Stopwatch } from '../utils/stopwatch.ts';
import { MAX_REMEMBERED, REMEMBER_MS, RESTORED_AT_ONCE } from './refresh-saver.ts';

/** Older ones are not stored again: the state that shows whether one was lost is deleted a day after its expiry. */
const MAX_AGE_MS = 12 * 60 * 60_000;

interface Remembered {
  stored: StoredConnection;
  age: Stopwatch;
}

interface Dependencies {
  tokens: OAuthTokenDatastore;
  newConnections: NewConnectionDatastore;
  clock: Clock;
  logger: Logger;
}

/** Remembers the connections that this process has stored for a while, in case a failover of the database loses them. */
export class NewConnectionRestorer {
  private readonly tokens: OAuthTokenDatastore;
  private readonly newConnections: NewConnectionDatastore;
  private readonly clock: Clock;
  private readonly logger: Logger;
  /** Encrypted, each organization's last one, the oldest first. */
  private readonly remembered = new Map<string, Remembered>();

  constructor({ tokens, newConnections, clock, logger }: Dependencies) {
    this.tokens = tokens;
    this.newConnections = newConnections;
    this.clock = clock;
    this.logger = logger;
  }

  /** Remembers a connection that was committed. */
  remember(committed: Omit<StoredConnection, 'storedAt'>): void {
    const key = keyOf(committed.connection);
    this.remembered.delete(key);
    this.remembered.set(key, { stored: { ...committed, storedAt: this.clock.now() }, age: new Stopwatch(this.clock) });
    for (const [oldest, { age }] of this.remembered) {
      if (age.elapsedMs() < REMEMBER_MS && this.remembered.size <= MAX_REMEMBERED) break;
      this.remembered.delete(oldest);
    }
  }

  /** Forgets an organization's connection, which was disconnected. */
  forget(key: ConnectionKey): void {
    this.remembered.delete(keyOf(key));
  }

  /** Stores every remembered connection again that was lost. Waits for the database for as long as it takes. */
  async restoreAll(): Promise<void> {
    const remembered = [...this.remembered.values()];
    const restoreNext = async () => {
      for (let next = remembered.pop(); next; next = remembered.pop()) await this.restore(next);
    };
    await Promise.all(Array.from({ length: RESTORED_AT_ONCE }, restoreNext));
  }

  /** Reads the row of the newest remembered connection, if there is any. @throws AppError `service_unavailable` */
  async readNewest(): Promise<void> {
    const [newest] = [...this.remembered.values()].slice(-1);
    if (newest) await this.tokens.findCurrent(newest.stored.connection);
  }

  private async restore(remembered: Remembered): Promise<void> {
    try {
      await retry(() => this.restoreOnce(remembered), { clock: this.clock });
    } catch (err) {
      this.log('error', 'connect.restore_failed', remembered, { err }); // must not keep the others from being restored
    }
  }

  private async restoreOnce(remembered: Remembered): Promise<void> {
    const { stored, age } = remembered;
    const isCurrent = this.remembered.get(keyOf(stored.connection)) === remembered; // not disconnected meanwhile
    if (!isCurrent || age.elapsedMs() > MAX_AGE_MS) return;
    const restored = await this.newConnections.restore(stored);
    if (!restored) return;
    this.log('warn', 'connect.restored', remembered);
    logEvent(this.logger, restored.event);
    // A revocation that was recorded again is left to the worker, which attempts it a minute later: until every process
    // has restored its connections, it could end the grant of one that is missing.
  }

  private log(level: 'warn' | 'error', event: string, { stored }: Remembered, facts: object = {}): void {
    const { organizationId, realmId } = stored.connection;
    this.logger[level]({ event, organization_id: organizationId, realm_id: realmId, ...facts }, event);
  }
}

function keyOf({ organizationId, system }: ConnectionKey): string {
  return `${system} ${organizationId}`;
}
