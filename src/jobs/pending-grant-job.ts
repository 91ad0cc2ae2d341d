import type { PendingGrantDatastore } from '../datastores/pending-grant-datastore.ts';
import { hasCode } from '../errors.ts';
import type { PendingGrant } from '../models/pending-grant.ts';
import type { Logger } from '../observability/logger.ts';
import type { GrantCompleter } from '../services/grant-completer.ts';
import type { StrategyRegistry } from '../strategies/strategy-registry.ts';
import { type Clock, fromNow } from '../utils/clock.ts';
import type { Job, JobOutcome } from './job.ts';

/** How long a worker has a grant for itself; also when one is retried whose provider is unavailable. */
const CLAIM_MS = 2 * 60_000;
/** When a grant is retried that an internal fault kept from its completion. */
const FAULT_RETRY_MS = 6 * 60 * 60_000;

interface Dependencies {
  strategies: StrategyRegistry;
  grants: PendingGrantDatastore;
  completer: GrantCompleter;
  clock: Clock;
  logger: Logger;
  pauseMs: number;
}

/** Completes the grants that a stopped process left, and ends those that were not confirmed in time. */
export class PendingGrantJob implements Job<PendingGrant> {
  readonly name = 'pending-grants';
  readonly concurrency = 1;
  readonly intervalMs = 5_000;
  readonly pauseMs: number;
  private readonly strategies: StrategyRegistry;
  private readonly grants: PendingGrantDatastore;
  private readonly completer: GrantCompleter;
  private readonly clock: Clock;
  private readonly logger: Logger;

  constructor({ strategies, grants, completer, clock, logger, pauseMs }: Dependencies) {
    this.strategies = strategies;
    this.grants = grants;
    this.completer = completer;
    this.clock = clock;
    this.logger = logger;
    this.pauseMs = pauseMs;
  }

  async listDue(limit: number): Promise<PendingGrant[]> {
    return this.grants.listDue(this.strategies.systems(), limit);
  }

  async claim(grant: PendingGrant): Promise<PendingGrant | undefined> {
    return this.grants.claim(grant, fromNow(this.clock, CLAIM_MS));
  }

  companyOf({ realmId }: PendingGrant): string {
    return realmId;
  }

  /** An internal fault concerns one grant: the others are completed all the same. */
  async run(grant: PendingGrant): Promise<JobOutcome> {
    try {
      return await this.process(grant);
    } catch (err) {
      if (hasCode(err, 'service_unavailable')) throw err;
      const event = 'pending_grant.failed';
      this.logger.error({ event, organization_id: grant.organizationId, token_id: grant.tokenId, err }, event);
      await this.grants.claim(grant, fromNow(this.clock, FAULT_RETRY_MS));
      return 'skipped';
    }
  }

  private async process(grant: PendingGrant): Promise<JobOutcome> {
    switch (grant.phase) {
      case 'received':
        await this.completer.complete(grant, await this.completer.verifyCompany(grant), {
          endsIfSuperseded: () => true,
        });
        return 'done';
      case 'unconfirmed':
        await this.completer.expire(grant);
        return 'done';
      case 'unwanted':
        return (await this.completer.discard(grant)) ? 'done' : 'provider_down';
    }
  }
}
