import type { OAuthTokenDatastore } from '../datastores/oauth-token-datastore.ts';
import type { ErasedRows, OrganizationDatastore } from '../datastores/organization-datastore.ts';
import type { PendingGrantDatastore } from '../datastores/pending-grant-datastore.ts';
import type { PendingRevocation, PendingRevocationDatastore } from '../datastores/pending-revocation-datastore.ts';
import type { AccountingSystem, OrganizationId } from '../models/connection.ts';
import { OPERATOR } from '../models/connection-event.ts';
import type { StrategyRegistry } from '../strategies/strategy-registry.ts';
import type { BackgroundTasks } from '../utils/background-tasks.ts';
import type { GrantCompleter } from './grant-completer.ts';
import type { GrantRevoker } from './grant-revoker.ts';
import type { OAuthService } from './oauth-service.ts';

/** A user may connect again meanwhile, so often. */
const ATTEMPTS = 5;

/**
 * How an erasure ended: what was deleted, or why nothing was.
 * - `unknown_system`: there are grants for systems that this version of the service does not know.
 */
export type Erasure =
  | ({ kind: 'erased' } & ErasedRows)
  | { kind: 'revocation_pending' | 'connected_again' }
  | { kind: 'unknown_system'; systems: AccountingSystem[] };

interface Dependencies {
  strategies: StrategyRegistry;
  tokens: OAuthTokenDatastore;
  grants: PendingGrantDatastore;
  organizations: OrganizationDatastore;
  revocations: PendingRevocationDatastore;
  oauthService: OAuthService;
  completer: GrantCompleter;
  revoker: GrantRevoker;
  backgroundTasks: BackgroundTasks;
}

/** Erases an organization: revokes its grants, then deletes every row and event. */
export class OrganizationEraser {
  private readonly strategies: StrategyRegistry;
  private readonly tokens: OAuthTokenDatastore;
  private readonly grants: PendingGrantDatastore;
  private readonly organizations: OrganizationDatastore;
  private readonly revocations: PendingRevocationDatastore;
  private readonly oauthService: OAuthService;
  private readonly completer: GrantCompleter;
  private readonly revoker: GrantRevoker;
  private readonly backgroundTasks: BackgroundTasks;

  constructor(dependencies: Dependencies) {
    this.strategies = dependencies.strategies;
    this.tokens = dependencies.tokens;
    this.grants = dependencies.grants;
    this.organizations = dependencies.organizations;
    this.revocations = dependencies.revocations;
    this.oauthService = dependencies.oauthService;
    this.completer = dependencies.completer;
    this.revoker = dependencies.revoker;
    this.backgroundTasks = dependencies.backgroundTasks;
  }

  /**
   * Deletes nothing while a grant of its companies is still to be revoked: the rows are what names these companies, and so
   * what leads to the ciphertext that would remain. Safe to repeat.
   * @param leavesUnrevoked also deletes the grants for systems that this version does not know: they cannot be revoked
   */
  async erase(organizationId: OrganizationId, { leavesUnrevoked = false } = {}): Promise<Erasure> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      const systems = leavesUnrevoked ? [] : await this.listUnknownSystems(organizationId);
      if (systems.length > 0) return { kind: 'unknown_system', systems };
      await this.disconnect(organizationId);
      if (!(await this.discardGrants(organizationId)) || !(await this.revokePending(organizationId))) {
        return { kind: 'revocation_pending' };
      }
      const erased = await this.organizations.erase(organizationId);
      if (erased) return { kind: 'erased', ...erased };
    }
    return { kind: 'connected_again' };
  }

  /** Returns the systems that this version does not know, and that the organization has a grant for. */
  private async listUnknownSystems(organizationId: OrganizationId): Promise<AccountingSystem[]> {
    const systems = await this.organizations.listConnectedSystems(organizationId);
    for (const { system } of await this.organizations.listPendingGrants(organizationId)) systems.push(system);
    for (const { system, realmId } of await this.organizations.listCompanies(organizationId)) {
      if ((await this.revocations.listOfCompany(system, realmId)).length > 0) systems.push(system);
    }
    return [...new Set(systems)].filter((system) => !this.isKnown(system)).sort();
  }

  private isKnown(system: AccountingSystem): boolean {
    return this.strategies.systems().includes(system);
  }

  private async disconnect(organizationId: OrganizationId): Promise<void> {
    for (const system of await this.organizations.listConnectedSystems(organizationId)) {
      const key = { organizationId, system };
      if (this.isKnown(system)) await this.oauthService.disconnect(key, OPERATOR);
      else await this.tokens.disconnect(key, OPERATOR);
    }
    await this.backgroundTasks.drain(); // a revocation may take longer than a user waits for it
  }

  /** False if the provider could not confirm whose grant one is. */
  private async discardGrants(organizationId: OrganizationId): Promise<boolean> {
    for (const grant of await this.organizations.listPendingGrants(organizationId)) {
      if (!this.isKnown(grant.system)) await this.grants.discard(grant, { isProven: false });
    }
    for (const grant of await this.organizations.listPendingGrants(organizationId)) {
      // This records an event, from which a repetition knows the company whose grant could not be revoked.
      if (grant.phase !== 'unwanted') await this.completer.expire(grant);
    }
    for (const grant of await this.organizations.listPendingGrants(organizationId)) {
      if (!(await this.completer.discard(grant))) return false;
    }
    await this.backgroundTasks.drain();
    return true;
  }

  /** False if it is to be attempted again, unless it waits for another organization. */
  private async isRevoked(revocation: PendingRevocation, organizationId: OrganizationId): Promise<boolean> {
    const outcome = await this.revoker.revoke(revocation);
    if (outcome === 'deferred') return (revocation.organizationId ?? organizationId) !== organizationId;
    return outcome !== 'failed' && outcome !== 'provider_down';
  }

  /** False if the provider did not accept a revocation. */
  private async revokePending(organizationId: OrganizationId): Promise<boolean> {
    for (const { system, realmId } of await this.organizations.listCompanies(organizationId)) {
      for (const revocation of await this.revocations.listOfCompany(system, realmId)) {
        if (!this.isKnown(system)) await this.revocations.delete(revocation);
        else if (!(await this.isRevoked(revocation, organizationId))) return false;
      }
    }
    return true;
  }
}
