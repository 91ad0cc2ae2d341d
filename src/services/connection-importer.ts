import { createHash } from 'node:crypto';
import type { TokenCipher } from '../crypto/token-cipher.ts';
import type { ConnectionEventDatastore } from '../datastores/connection-event-datastore.ts';
import type { ConnectionImportDatastore } from '../datastores/connection-import-datastore.ts';
import type { OAuthTokenDatastore } from '../datastores/oauth-token-datastore.ts';
import type { ActiveConnection, ConnectionKey, NewConnection, PlainToken, RealmId } from '../models/connection.ts';
import type { ConnectionEvent } from '../models/connection-event.ts';
import { nextMaintenanceAt } from '../models/maintenance.ts';
import type { ProviderError } from '../strategies/provider-error.ts';
import type { StrategyRegistry } from '../strategies/strategy-registry.ts';
import { type Clock, fromNow } from '../utils/clock.ts';
import type { ConnectionChanges } from './connection-changes.ts';
import type { ConnectionVerifier } from './connection-verifier.ts';
import { isUsable } from './refresh-policy.ts';
import type { TokenManager } from './token-manager.ts';

/** Until the first refresh returns the real one. */
const ASSUMED_LIFETIME_MS = 100 * 86_400_000;
/** How often an unavailable provider is called for one connection. */
const ATTEMPTS = 3;
const DEFAULT_RETRY_SECONDS = 5;
const MAX_RETRY_SECONDS = 120;
/** How many of an organization's newest events are searched for the end of its imported connection. */
const MAX_EVENTS = 50;
const ENDS = new Set<ConnectionEvent['type']>(['disconnected', 'reconnected', 'imported', 'company_mismatch']);

/** A connection of another system. */
export interface ForeignConnection extends ConnectionKey {
  realmId: RealmId;
  refreshToken: PlainToken;
}

/** What identifies the row of an imported connection. */
interface ImportedRow {
  tokenId: string;
  realmId: RealmId;
}

/**
 * How the import of one connection ended.
 * - `connected`: it is stored and proven; `isKnown`: an earlier import or the worker did both.
 * - `skipped`: the organization has another connection.
 * - `failed`: it is not connected; `reason` is for people.
 * - `unproven`: it is stored, but the provider could not prove it.
 */
export type ImportOutcome =
  | { kind: 'connected'; isKnown: boolean }
  | { kind: 'skipped' }
  | { kind: 'failed'; reason: string }
  | { kind: 'unproven'; cause: 'provider_down' | 'service_rejected' | 'request_rejected' | 'company_denied' };

/** How a connection is imported. */
interface ImportOptions {
  /** Whether it replaces another active connection. */
  replaces: boolean;
  /** Aborted if the provider is not to be called again. */
  signal?: AbortSignal | undefined;
}

interface Dependencies {
  strategies: StrategyRegistry;
  imports: ConnectionImportDatastore;
  events: ConnectionEventDatastore;
  tokens: OAuthTokenDatastore;
  cipher: TokenCipher;
  tokenManager: TokenManager;
  verifier: ConnectionVerifier;
  changes: ConnectionChanges;
  clock: Clock;
}

/**
 * Imports connections. Each is stored before its refresh token is used, so that the token manager, here or in another
 * process, saves the one that replaces it.
 */
export class ConnectionImporter {
  private readonly strategies: StrategyRegistry;
  private readonly imports: ConnectionImportDatastore;
  private readonly events: ConnectionEventDatastore;
  private readonly tokens: OAuthTokenDatastore;
  private readonly cipher: TokenCipher;
  private readonly tokenManager: TokenManager;
  private readonly verifier: ConnectionVerifier;
  private readonly changes: ConnectionChanges;
  private readonly clock: Clock;
  /** True once a company was proven: a denial is then not explained by the settings. */
  private hasProven = false;

  constructor(dependencies: Dependencies) {
    this.strategies = dependencies.strategies;
    this.imports = dependencies.imports;
    this.events = dependencies.events;
    this.tokens = dependencies.tokens;
    this.cipher = dependencies.cipher;
    this.tokenManager = dependencies.tokenManager;
    this.verifier = dependencies.verifier;
    this.changes = dependencies.changes;
    this.clock = dependencies.clock;
  }

  /** Stores a connection and proves it. Safe to repeat. */
  async import(foreign: ForeignConnection, { replaces, signal }: ImportOptions): Promise<ImportOutcome> {
    const connection = this.toConnection(foreign);
    const { maintenance } = this.strategies.get(foreign.system).profile;
    const next = nextMaintenanceAt({ ...connection, state: 'active' }, this.clock.now(), maintenance);
    const stored = await this.imports.store(connection, { replaces, nextMaintenanceAt: next });
    if (stored.kind === 'occupied') return { kind: 'skipped' };
    if (stored.kind === 'stored') await this.changes.finish(foreign.system, stored.ended);
    const current = await this.findImported(connection);
    if (typeof current === 'string') return { kind: 'failed', reason: current };
    return current.lastVerifiedAt ? { kind: 'connected', isKnown: true } : this.prove(current, signal);
  }

  private async prove(imported: ActiveConnection, signal: AbortSignal | undefined): Promise<ImportOutcome> {
    for (let attempt = 1; ; attempt += 1) {
      const outcome = await this.tryToProve(imported);
      if (outcome.kind !== 'retry') return outcome;
      const pauseMs = Math.min(outcome.afterSeconds ?? DEFAULT_RETRY_SECONDS, MAX_RETRY_SECONDS) * 1000;
      if (attempt < ATTEMPTS) await this.clock.sleep(pauseMs, signal);
      if (attempt === ATTEMPTS || signal?.aborted) break;
    }
    const current = await this.findImported(imported); // the last attempt may have found that it has ended
    if (typeof current === 'string') return { kind: 'failed', reason: current };
    if (current.lastVerifiedAt) return { kind: 'connected', isKnown: true };
    return { kind: 'unproven', cause: 'provider_down' };
  }

  private async tryToProve(
    imported: ActiveConnection,
  ): Promise<ImportOutcome | { kind: 'retry'; afterSeconds?: number | undefined }> {
    const current = await this.findImported(imported);
    if (typeof current === 'string') return { kind: 'failed', reason: current };
    // An import that was interrupted after its refresh has an access token that proves the company.
    const refreshed = isUsable(current, this.clock.now()) ? current : await this.refresh(current);
    if ('kind' in refreshed) return refreshed;
    switch (await this.verifier.verifyCompany(refreshed, (denial) => this.isMismatch(denial))) {
      case 'verified':
        this.hasProven = true;
        return { kind: 'connected', isKnown: false };
      case 'ended':
        return { kind: 'failed', reason: COMPANY_MISMATCH };
      case 'denied':
        return { kind: 'unproven', cause: 'company_denied' };
      case 'provider_down':
      case 'rate_limited':
      case 'not_refreshed': // the next attempt finds out why
        return { kind: 'retry' };
    }
  }

  private async refresh(connection: ActiveConnection) {
    const result = await this.tokenManager.refresh(connection);
    switch (result.outcome) {
      case 'current':
        return result.connection;
      case 'ended':
        return { kind: 'retry', afterSeconds: 0 } as const; // the next attempt finds out why
      case 'deferred':
        return { kind: 'retry', afterSeconds: result.retryAfterSeconds } as const;
      case 'failed':
        return this.judge(result.error) ?? ({ kind: 'retry', afterSeconds: result.retryAfterSeconds } as const);
    }
  }

  /** Returns the outcome of an import whose refresh another attempt would not change. */
  private judge({ failure }: ProviderError): ImportOutcome | undefined {
    if (failure === 'application_rejected') return { kind: 'unproven', cause: 'service_rejected' };
    if (failure === 'request_rejected') return { kind: 'unproven', cause: 'request_rejected' };
    return undefined;
  }

  /** 401: the new token is not for this company. Anything else may be the wrong environment, until a company was proven. */
  private isMismatch({ details }: ProviderError): boolean {
    return details.status === 401 || this.hasProven;
  }

  /** Returns the imported connection if it is the organization's and active, otherwise the reason why it is not. */
  private async findImported(imported: ConnectionKey & ImportedRow): Promise<ActiveConnection | string> {
    const current = await this.tokens.findCurrent(imported);
    if (current?.tokenId !== imported.tokenId) return this.reasonOfEnd(imported);
    return current.state === 'lost' ? `${current.reason}: ${REASONS[current.reason]}` : current;
  }

  private async reasonOfEnd({ realmId, ...key }: ConnectionKey & ImportedRow): Promise<string> {
    const events = await this.events.listNewest(key, MAX_EVENTS);
    const end = events.find((event) => event.realmId === realmId && ENDS.has(event.type));
    return end?.type === 'company_mismatch' ? COMPANY_MISMATCH : ENDED;
  }

  private toConnection({ refreshToken, ...foreign }: ForeignConnection): NewConnection {
    const owner = { ...foreign, tokenId: importedTokenId({ ...foreign, refreshToken }) };
    const tokens = this.cipher.encryptTokens(owner, {
      accessToken: '' as PlainToken, // there is none yet: it counts as expired
      accessTokenExpiresAt: this.clock.now(),
      refreshToken,
      refreshTokenExpiresAt: fromNow(this.clock, ASSUMED_LIFETIME_MS),
      isRefreshExpiryAssumed: true,
      authorizationExpiresAt: undefined,
      intuitTid: undefined,
    });
    return { ...owner, companyName: undefined, tokens, lastVerifiedAt: undefined, intuitTid: undefined };
  }
}

const COMPANY_MISMATCH = 'company_mismatch: the token does not give access to this company';
const ENDED = 'ended: this token was imported before, and its connection has ended since';
const REASONS = {
  authorization_revoked: 'the refresh token was rejected: it is not the newest, was revoked, or is of another app',
  rotation_lost: 'the refresh token was rejected after a refresh whose response was lost',
  refresh_token_expired: 'the refresh token has expired',
};

/** A UUID that shows which token a connection was imported with, without revealing the token: it has 128 random bits or more. */
function importedTokenId({ organizationId, system, realmId, refreshToken }: ForeignConnection): string {
  const text = ['import', organizationId, system, realmId, refreshToken].join('\n');
  const hex = createHash('sha256').update(text).digest('hex');
  const variant = ((Number.parseInt(hex.slice(16, 18), 16) & 0x3f) | 0x80).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(18, 20)}-${hex.slice(20, 32)}`;
}
