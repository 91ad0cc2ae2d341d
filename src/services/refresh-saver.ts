import type { TokenCipher } from '../crypto/token-cipher.ts';
import type { OAuthTokenDatastore } from '../datastores/oauth-token-datastore.ts';
import type { PendingGrantDatastore } from '../datastores/pending-grant-datastore.ts';
import type { RefreshDatastore, RefreshedTokens } from '../datastores/refresh-datastore.ts';
import { hasCode } from '../errors.ts';
import {
  type ActiveConnection,
  type Connection,
  type ConnectionKey,
  type NewTokenSet,
  type PlainToken,
  type RefreshableConnection,
  type TokenSet,
  withStoredExpiry,
} from '../models/connection.ts';
import { nextMaintenanceAt } from '../models/maintenance.ts';
import { logEvent } from '../observability/event-log.ts';
import type { Logger } from '../observability/logger.ts';
import type { StrategyRegistry } from '../strategies/strategy-registry.ts';
import { type Clock, isTimeCertain } from '../utils/clock.ts';
import { retry } from '../utils/retry.ts';
import { Stopwatch } from '../utils/stopwatch.ts';
import type { GrantRevoker } from './grant-revoker.ts';
import { REMEMBER_MS, RememberedWrites } from './remembered-writes.ts';

/** Whose connection it is, and its company for the log. */
type Named = ConnectionKey & Pick<Connection, 'realmId'>;

interface Remembered {
  tokenId: string;
  connection: Named & Pick<Connection, 'lastVerifiedAt'>;
  /** The generation that the save created. */
  generation: number;
  refreshed: RefreshedTokens;
  /** Whether its grant was recorded for revocation. */
  isOrphaned?: boolean;
}

interface Dependencies {
  strategies: StrategyRegistry;
  tokens: OAuthTokenDatastore;
  refreshes: RefreshDatastore;
  grants: PendingGrantDatastore;
  cipher: TokenCipher;
  revoker: GrantRevoker;
  clock: Clock;
  logger: Logger;
}

/** Saves responses to a refresh. Each exists nowhere else until the database has it, and is remembered for a while after. */
export class RefreshSaver {
  private readonly strategies: StrategyRegistry;
  private readonly tokens: OAuthTokenDatastore;
  private readonly refreshes: RefreshDatastore;
  private readonly grants: PendingGrantDatastore;
  private readonly cipher: TokenCipher;
  private readonly revoker: GrantRevoker;
  private readonly clock: Clock;
  private readonly logger: Logger;
  /** When rows were last looked for that a failover of the database may have lost. */
  private failover: Stopwatch | undefined;
  /** Encrypted, by token ID. */
  private readonly remembered: RememberedWrites<Remembered>;

  constructor(dependencies: Dependencies) {
    this.strategies = dependencies.strategies;
    this.tokens = dependencies.tokens;
    this.refreshes = dependencies.refreshes;
    this.grants = dependencies.grants;
    this.cipher = dependencies.cipher;
    this.revoker = dependencies.revoker;
    this.clock = dependencies.clock;
    this.logger = dependencies.logger;
    this.remembered = new RememberedWrites(dependencies.clock);
  }

  /** Saves a response, retrying until it succeeds. Returns the connection as it is then. */
  async save(
    connection: RefreshableConnection,
    returned: TokenSet,
    sentToken: PlainToken,
  ): Promise<{ current: Connection | undefined; isSuperseded: boolean }> {
    const now = this.clock.now();
    const completed = completeTokens(returned, sentToken, connection);
    const tokens = this.cipher.encryptTokens(
      connection,
      withStoredExpiry(completed, { isTimeCertain: isTimeCertain(this.clock) }),
    );
    const { maintenance, lastVerifiedAt } = connection;
    const saved = { state: 'active', tokens, maintenance, lastVerifiedAt: lastVerifiedAt && now } as const;
    const policy = this.strategies.get(connection.system).profile.maintenance;
    const { intuitTid } = returned;
    const { isSaved, isMissing } = await this.persist(connection, {
      tokens,
      intuitTid,
      nextMaintenanceAt: nextMaintenanceAt(saved, now, policy),
    });
    const current = await this.retry(connection, () => this.tokens.findCurrent(connection));
    const event = isSaved ? 'token.refresh.succeeded' : 'token.refresh.superseded';
    const { organizationId, realmId } = connection;
    const context = { organization_id: organizationId, realm_id: realmId, intuit_tid: intuitTid };
    this.logger.info({ event, ...context, generation: current?.generation }, event);
    const mayBeRestored = isMissing && this.hasFailedOver;
    if (current?.tokenId !== connection.tokenId && !mayBeRestored) await this.endOrphaned({ ...connection, tokens });
    return { current, isSuperseded: !isSaved };
  }

  /**
   * Writes a remembered response again if the row is older than it: a failover of the database has lost it.
   * Returns the connection as it is then.
   */
  async restoreNewest(connection: Connection | undefined): Promise<Connection | undefined> {
    const newest = connection && this.remembered.get(connection.tokenId);
    return newest ? this.restore(connection, newest) : connection;
  }

  /**
   * Writes every remembered response again whose row is older than it. Waits for the database for as long as it takes.
   * Returns how many of their connections were not found: another process may restore one that was new.
   */
  async restoreAll(): Promise<number> {
    this.failover = new Stopwatch(this.clock);
    let missing = 0;
    await this.remembered.forEachWrite(async (newest) => {
      const { connection, tokenId } = newest;
      const { realmId } = connection;
      const restoreFound = async () => this.restore(await this.tokens.findCurrent(connection), newest);
      const current = await this.retry(connection, restoreFound);
      if (current?.tokenId === tokenId) return;
      const row = await this.retry(connection, () => this.tokens.findVersion(tokenId));
      // Current: another process has restored it since the first read. It is looked at again.
      if (!row || row.isCurrent) missing += 1;
      // The same company's old tokens are not revoked: that could end the new grant.
      else if (row.generation <= newest.generation && current?.realmId !== realmId) await this.endLost(newest);
    });
    return missing;
  }

  /** Reads one row of which the newest response is remembered, if there is any. @throws AppError `service_unavailable` */
  async readNewest(): Promise<void> {
    const newest = this.remembered.newest();
    if (newest) await this.tokens.findCurrent(newest.connection);
  }

  /** Ends a grant whose connection was disconnected or replaced while it was refreshed. */
  private async endOrphaned(connection: RefreshableConnection): Promise<void> {
    // Recorded first: without the database it is unknown who else uses the company.
    const revocation = await this.retry(connection, () => this.grants.recordOrphaned(connection));
    if (revocation) await this.revoker.revoke(revocation);
  }

  /** Has the worker revoke the newest token of a connection that was ended with an older one. */
  private async endLost(newest: Remembered): Promise<void> {
    const { tokenId, connection, refreshed } = newest;
    if (newest.isOrphaned) return;
    await this.retry(connection, () =>
      this.grants.recordOrphaned({ ...connection, tokenId, tokens: refreshed.tokens }),
    );
    newest.isOrphaned = true; // still remembered: another failover may lose the end of the connection
    const event = 'token.refresh.not_restored';
    this.logger.warn({ event, organization_id: connection.organizationId, realm_id: connection.realmId }, event);
  }

  private async restore(connection: Connection | undefined, newest: Remembered): Promise<Connection | undefined> {
    if (!connection || !isOlder(connection, newest)) return connection;
    const { organizationId, realmId, generation } = connection;
    const event = 'token.refresh.restored';
    this.logger.warn({ event, organization_id: organizationId, realm_id: realmId, generation }, event);
    // Instead of any older row: another process may write an older response back at the same time.
    await this.persist({ ...connection, generation: newest.generation - 1 }, newest.refreshed);
    return this.tokens.findCurrent(connection);
  }

  private async persist(
    connection: Connection,
    refreshed: RefreshedTokens,
  ): Promise<{ isSaved: boolean; isMissing: boolean }> {
    const {
      isSaved,
      isMissing = false,
      generation = connection.generation + 1,
      event,
    } = await this.retry(connection, () => this.refreshes.saveRefreshed(connection, refreshed));
    if (event) logEvent(this.logger, event);
    if (isSaved || isMissing) this.remember({ ...connection, generation }, refreshed);
    return { isSaved, isMissing };
  }

  /** True if another process may still restore a connection that a failover of the database has lost. */
  private get hasFailedOver(): boolean {
    return this.failover !== undefined && this.failover.elapsedMs() < REMEMBER_MS;
  }

  /** Nothing is worse than to drop a response, so that every error is retried, without a limit. */
  private retry<T>({ organizationId, realmId }: Named, work: () => Promise<T>): Promise<T> {
    const isRetryable = (err: unknown) => {
      if (!hasCode(err, 'service_unavailable')) {
        const event = 'token.refresh.save_failed';
        this.logger.error({ event, organization_id: organizationId, realm_id: realmId, err }, event);
      }
      return true;
    };
    return retry(work, { clock: this.clock, isRetryable });
  }

  private remember(connection: Connection, refreshed: RefreshedTokens): void {
    const { tokenId, organizationId, system, realmId, lastVerifiedAt, generation } = connection;
    const named = { organizationId, system, realmId, lastVerifiedAt };
    this.remembered.set(tokenId, { tokenId, connection: named, generation, refreshed });
  }
}

/** True if a row lacks a response. */
function isOlder({ tokenId, generation }: Connection, newest: Remembered): boolean {
  return tokenId === newest.tokenId && generation < newest.generation;
}

/** Completes a response by what it does not contain: the refresh token that was sent, the known end of the authorization. */
function completeTokens(
  returned: TokenSet,
  sentToken: PlainToken,
  { tokens }: Pick<ActiveConnection, 'tokens'>,
): NewTokenSet {
  return {
    ...returned,
    refreshToken: returned.refreshToken ?? sentToken,
    authorizationExpiresAt: returned.authorizationExpiresAt ?? tokens.authorizationExpiresAt,
  };
}
