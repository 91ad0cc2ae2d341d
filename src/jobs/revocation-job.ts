import type { PendingRevocation, PendingRevocationDatastore } from '../datastores/pending-revocation-datastore.ts';
import type { GrantRevoker } from '../services/grant-revoker.ts';
import type { StrategyRegistry } from '../strategies/strategy-registry.ts';
import { type Clock, fromNow } from '../utils/clock.ts';
import type { Job, JobOutcome } from './job.ts';

const CLAIM_MS = 60_000;

interface Dependencies {
  strategies: StrategyRegistry;
  pending: PendingRevocationDatastore;
  revoker: GrantRevoker;
  clock: Clock;
  pauseMs: number;
}

/** Revokes the grants that could not be revoked at once. */
export class RevocationJob implements Job<PendingRevocation> {
  readonly name = 'revocations';
  readonly concurrency = 1;
  readonly intervalMs = 5_000;
  readonly pauseMs: number;
  private readonly strategies: StrategyRegistry;
  private readonly pending: PendingRevocationDatastore;
  private readonly revoker: GrantRevoker;
  private readonly clock: Clock;

  constructor({ strategies, pending, revoker, clock, pauseMs }: Dependencies) {
    this.strategies = strategies;
    this.pending = pending;
    this.revoker = revoker;
    this.clock = clock;
    this.pauseMs = pauseMs;
  }

  async listDue(limit: number): Promise<PendingRevocation[]> {
    return this.pending.listDue(this.strategies.systems(), limit);
  }

  async claim(revocation: PendingRevocation): Promise<PendingRevocation | undefined> {
    return this.pending.claim(revocation, fromNow(this.clock, CLAIM_MS));
  }

  companyOf({ realmId, revocationId }: PendingRevocation): string {
    return realmId ?? revocationId;
  }

  async run(revocation: PendingRevocation): Promise<JobOutcome> {
    const outcome = await this.revoker.revoke(revocation);
    if (outcome === 'provider_down') return 'provider_down';
    return outcome === 'revoked' || outcome === 'failed' ? 'done' : 'skipped';
  }
}
