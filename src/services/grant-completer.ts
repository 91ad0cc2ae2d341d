import type { TokenCipher } from '../crypto/token-cipher.ts';
import type { OAuthStateDatastore } from '../datastores/oauth-state-datastore.ts';
import type { Move, PendingGrantDatastore } from '../datastores/pending-grant-datastore.ts';
import type { ErrorCode } from '../errors.ts';
import type { NewConnection } from '../models/connection.ts';
import { type ConnectionEvent, SERVICE } from '../models/connection-event.ts';
import { nextMaintenanceAt } from '../models/maintenance.ts';
import type { CallbackOutcome, PendingGrant } from '../models/pending-grant.ts';
import { logEvent } from '../observability/event-log.ts';
import type { Logger } from '../observability/logger.ts';
import { isProviderError } from '../strategies/provider-error.ts';
import type { StrategyRegistry } from '../strategies/strategy-registry.ts';
import { type Clock, fromNow } from '../utils/clock.ts';
import type { ConnectionChanges } from './connection-changes.ts';
import type { CompanyLimiter } from './gateway/company-limiter.ts';
import type { GrantRevoker } from './grant-revoker.ts';
import type { NewConnectionRestorer } from './new-connection-restorer.ts';

/** How long the frontend may take to confirm a connection. */
export const CONFIRMATION_LIFETIME_MS = 10 * 60_000;

/**
 * Whether a grant gives access to its company.
 * - `unproven`: the provider could not confirm it, which says nothing about the grant.
 */
export type CompanyCheck =
  | { kind: 'proven'; name: string | undefined }
  | { kind: 'unproven' }
  | { kind: 'mismatch'; intuitTid: string | undefined };

interface Dependencies {
  strategies: StrategyRegistry;
  grants: PendingGrantDatastore;
  consumedStates: OAuthStateDatastore;
  cipher: TokenCipher;
  revoker: GrantRevoker;
  changes: ConnectionChanges;
  newConnections: NewConnectionRestorer;
  clock: Clock;
  logger: Logger;
  /** Whether a connection takes effect only after the frontend has confirmed it. */
  needsConfirmation: boolean;
  /** Counts the calls that verify a company; absent if they are not limited. */
  companyLimiter?: CompanyLimiter | undefined;
}

/** Makes stored grants connections, or ends them. Every step can be repeated, by any process. */
export class GrantCompleter {
  private readonly strategies: StrategyRegistry;
  private readonly grants: PendingGrantDatastore;
  private readonly consumedStates: OAuthStateDatastore;
  private readonly cipher: TokenCipher;
  private readonly revoker: GrantRevoker;
  private readonly changes: ConnectionChanges;
  private readonly newConnections: NewConnectionRestorer;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly needsConfirmation: boolean;
  private readonly companyLimiter: CompanyLimiter | undefined;

  constructor(dependencies: Dependencies) {
    this.strategies = dependencies.strategies;
    this.grants = dependencies.grants;
    this.consumedStates = dependencies.consumedStates;
    this.cipher = dependencies.cipher;
    this.revoker = dependencies.revoker;
    this.changes = dependencies.changes;
    this.newConnections = dependencies.newConnections;
    this.clock = dependencies.clock;
    this.logger = dependencies.logger;
    this.needsConfirmation = dependencies.needsConfirmation;
    this.companyLimiter = dependencies.companyLimiter;
  }

  /** The callback names the company unsigned, through the browser: only a call with the new token proves it. */
  async verifyCompany(grant: PendingGrant): Promise<CompanyCheck> {
    const { organizationId, system, realmId, tokens } = grant;
    if (tokens.accessTokenExpiresAt <= this.clock.now()) return { kind: 'unproven' };
    const accessToken = this.cipher.decryptAccessToken(grant, tokens);
    const strategy = this.strategies.get(system);
    try {
      const { name } = await strategy.readCompany(realmId, accessToken);
      // Counted only now: a callback that names a company of others must not take its turns.
      this.companyLimiter?.count(strategy, realmId);
      return { kind: 'proven', name };
    } catch (error) {
      if (!isProviderError(error)) throw error;
      const isUnavailable = error.failure === 'unavailable';
      const event = isUnavailable ? 'connect.company_unproven' : 'connect.company_mismatch';
      this.logger.warn({ event, organization_id: organizationId, realm_id: realmId, ...error.toLog() }, event);
      return isUnavailable ? { kind: 'unproven' } : { kind: 'mismatch', intuitTid: error.details.intuitTid };
    }
  }

  /**
   * Completes a received grant according to its company. Returns undefined if neither the grant nor its outcome is stored.
   * @param endsIfSuperseded whether the grant ends if the organization's connection changed since the exchange of its code began
   */
  async complete(
    received: PendingGrant,
    check: CompanyCheck,
    { endsIfSuperseded }: { endsIfSuperseded: () => boolean },
  ): Promise<CallbackOutcome | undefined> {
    if (check.kind === 'mismatch') {
      // Nothing is revoked: whose grant this is, and who else uses it, is unknown.
      const { intuitTid } = check;
      return this.end(received, { code: 'company_mismatch', type: 'company_mismatch', intuitTid, isRevoked: false });
    }
    const isProven = check.kind === 'proven';
    const verifiedAt = isProven ? this.clock.now() : undefined;
    const grant = { ...received, companyName: isProven ? check.name : undefined, verifiedAt };
    if (grant.pinnedRealmId !== undefined && grant.pinnedRealmId !== grant.realmId) {
      return this.end(grant, { code: 'company_mismatch', type: 'company_mismatch', isRevoked: true });
    }
    if (this.needsConfirmation) return this.awaitConfirmation(grant);
    switch (await this.connect(grant, { actor: grant.actor, endsIfSuperseded })) {
      case 'moved':
        return { kind: 'connected' };
      case 'gone':
        return this.consumedStates.findOutcome(grant.stateId);
      case 'link_consumed':
        return this.end(grant, { code: 'unauthorized', type: 'connect_failed', isRevoked: true });
      case 'superseded':
        return this.end(grant, { code: 'invalid_state', type: 'connect_failed', isRevoked: true });
    }
  }

  /** Makes a confirmed grant the organization's connection. False if it was confirmed or ended before. */
  async confirm(grant: PendingGrant, actor: string): Promise<boolean> {
    const moved = await this.connect(grant, { actor, endsIfSuperseded: () => false });
    if (moved === 'link_consumed') {
      await this.end(grant, { code: 'unauthorized', type: 'connect_failed', isRevoked: true });
    }
    return moved === 'moved';
  }

  /** Ends a received grant whose organization was disconnected before it became its connection. */
  async abandon(grant: PendingGrant): Promise<void> {
    await this.end(grant, { code: 'invalid_state', type: 'connect_failed', isRevoked: true });
  }

  /** Ends a grant that was not confirmed in time. */
  async expire(grant: PendingGrant): Promise<void> {
    await this.end(grant, { code: 'invalid_confirmation', type: 'confirmation_expired', isRevoked: true });
  }

  /** Revokes an unwanted grant if its company can be proven. False if the provider is unavailable. */
  async discard(grant: PendingGrant): Promise<boolean> {
    const isExpired = grant.tokens.accessTokenExpiresAt <= this.clock.now(); // it can no longer be proven
    const check = isExpired ? undefined : await this.verifyCompany(grant);
    if (check?.kind === 'unproven') return false;
    const revocation = await this.grants.discard(grant, { isProven: check?.kind === 'proven' });
    if (revocation) await this.changes.revoke(grant.system, revocation);
    return true;
  }

  private async connect(
    grant: PendingGrant,
    { actor, endsIfSuperseded }: { actor: string; endsIfSuperseded: () => boolean },
  ): Promise<Move['kind']> {
    const { system, realmId, stateId, link } = grant;
    this.cipher.verify(grant, grant.tokens); // what cannot be used must not replace what can
    const { profile } = this.strategies.get(system);
    const connection = toConnection(grant);
    const next = nextMaintenanceAt({ ...connection, state: 'active' }, this.clock.now(), profile.maintenance);
    if (grant.verifiedAt) await this.revoker.deferCompany(system, realmId);
    const move = await this.grants.move(grant, connection, { actor, nextMaintenanceAt: next, endsIfSuperseded });
    if (move.kind !== 'moved') return move.kind;
    const { endedTokenId: replacedTokenId } = move.ended;
    this.newConnections.remember({ connection, stateId, link, actor, nextMaintenanceAt: next, replacedTokenId });
    await this.changes.finish(system, move.ended);
    return move.kind;
  }

  private async awaitConfirmation(grant: PendingGrant): Promise<CallbackOutcome | undefined> {
    const isWaiting = await this.grants.awaitConfirmation(grant, fromNow(this.clock, CONFIRMATION_LIFETIME_MS));
    return isWaiting ? { kind: 'pending', tokenId: grant.tokenId } : this.consumedStates.findOutcome(grant.stateId);
  }

  private async end(
    grant: PendingGrant,
    how: { code: ErrorCode; type: ConnectionEvent['type']; intuitTid?: string | undefined; isRevoked: boolean },
  ): Promise<CallbackOutcome | undefined> {
    const { organizationId, system, realmId, stateId } = grant;
    const { code, type, intuitTid, isRevoked } = how;
    const reason = type === 'connect_failed' ? code : undefined;
    const actor = type === 'confirmation_expired' ? SERVICE : grant.actor;
    const event = { organizationId, system, realmId, type, reason, actor, intuitTid };
    const outcome = { kind: 'failed', code } as const;
    const { isEnded, revocation } = await this.grants.end(grant, { outcome, event, isRevoked });
    if (!isEnded) return this.consumedStates.findOutcome(stateId);
    logEvent(this.logger, event);
    if (revocation) await this.changes.revoke(system, revocation);
    return outcome;
  }
}

function toConnection(grant: PendingGrant): NewConnection {
  const { tokenId, organizationId, system, realmId, companyName, tokens, verifiedAt, intuitTid } = grant;
  return { tokenId, organizationId, system, realmId, companyName, tokens, lastVerifiedAt: verifiedAt, intuitTid };
}
