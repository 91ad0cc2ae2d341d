import type { ErasedRows, OrganizationDatastore } from '../datastores/organization-datastore.ts';
import type { PendingRevocationDatastore } from '../datastores/pending-revocation-datastore.ts';
import type { OrganizationId } from '../models/connection.ts';
import { OPERATOR } from '../models/connection-event.ts';
import type { BackgroundTasks } from '../utils/background-tasks.ts';
import type { GrantCompleter } from './grant-completer.ts';
import type { GrantRevoker } from './grant-revoker.ts';
import type { OAuthService } from './oauth-service.ts';

/** A user may connect again meanwhile, so often. */
const ATTEMPTS = 5;

/** How an erasure ended: what was deleted, or why nothing was. */
export type Erasure = ({ kind: 'erased' } & ErasedRows) | { kind: 'revocation_pending' | 'connected_again' };

interface Dependencies {
  organizations: OrganizationDatastore;
  revocations: PendingRevocationDatastore;
  oauthService: OAuthService;
  completer: GrantCompleter;
  revoker: GrantRevoker;
  backgroundTasks: BackgroundTasks;
}

/** Erases an organization: revokes its grants, then deletes every row and event. */
export class OrganizationEraser {
  private readonly organizations: OrganizationDatastore;
  private readonly revocations: PendingRevocationDatastore;
  private readonly oauthService: OAuthService;
  private readonly completer: GrantCompleter;
  private readonly revoker: GrantRevoker;
  private readonly backgroundTasks: BackgroundTasks;

  constructor(dependencies: Dependencies) {
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
   */
  async erase(organizationId: OrganizationId): Promise<Erasure> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      await this.disconnect(organizationId);
      if (!(await this.discardGrants(organizationId)) || !(await this.revokePending(organizationId))) {
        return { kind: 'revocation_pending' };
      }
      const erased = await this.organizations.erase(organizationId);
      if (erased) return { kind: 'erased', ...erased };
    }
    return { kind: 'connected_again' };
  }

  private async disconnect(organizationId: OrganizationId): Promise<void> {
    for (const system of await this.organizations.listConnectedSystems(organizationId)) {
      await this.oauthService.disconnect({ organizationId, system }, OPERATOR);
    }
    await this.backgroundTasks.drain(); // a revocation may take longer than a user waits for it
  }

  /** False if the provider could not confirm whose grant one is. */
  private async discardGrants(organizationId: OrganizationId): Promise<boolean> {
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

  /** False if the provider did not accept a revocation. */
  private async revokePending(organizationId: OrganizationId): Promise<boolean> {
    for (const { system, realmId } of await this.organizations.listCompanies(organizationId)) {
      for (const revocation of await this.revocations.listOfCompany(system, realmId)) {
        if ((await this.revoker.revoke(revocation)) !== 'done') return false;
      }
    }
    return true;
  }
}
