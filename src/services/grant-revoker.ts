import type { Fernet } from '../crypto/fernet.ts';
import type { OAuthTokenDatastore } from '../datastores/oauth-token-datastore.ts';
import type { PendingRevocation, PendingRevocationDatastore } from '../datastores/pending-revocation-datastore.ts';
import { AppError } from '../errors.ts';
import type { AccountingSystem } from '../models/connection.ts';
import type { Logger } from '../observability/logger.ts';
import { type AccountingStrategy, ProviderError } from '../strategies/accounting-strategy.ts';

const MINUTE_MS = 60_000;
/** Doubles from the first to the longest. */
const FIRST_BACK_OFF_MS = MINUTE_MS;
const LONGEST_BACK_OFF_MS = 6 * 60 * MINUTE_MS;
/** Longer than a callback takes. */
const HOLD_BACK_MS = 2 * MINUTE_MS;
/** After this long a grant that cannot be revoked is left to run out. */
const GIVE_UP_MS = 7 * 24 * 60 * MINUTE_MS;

/** Ends grants that nobody needs any more. Each is noted before it is tried, so that none is forgotten. */
export class GrantRevoker {
  constructor(
    private readonly strategy: AccountingStrategy,
    private readonly tokens: OAuthTokenDatastore,
    private readonly pending: PendingRevocationDatastore,
    private readonly fernet: Fernet,
    private readonly logger: Logger,
    private readonly now: () => Date,
  ) {}

  /**
   * One try for a grant that is noted. Answers whether the provider could be spoken to; never fails for the provider's
   * or the database's sake, since the connection is ended here either way and the worker tries again.
   */
  async revoke(revocation: PendingRevocation): Promise<boolean> {
    const context = { realm_id: revocation.realmId, revocation_id: revocation.revocationId };
    try {
      await this.settle(revocation);
      await this.pending.delete(revocation);
      return true;
    } catch (error) {
      if (error instanceof ProviderError) this.logger.warn({ ...context, ...error.toLog() }, 'grant not revoked');
      else if (error instanceof AppError) this.logger.warn({ ...context, reason: error.reason }, 'grant not revoked');
      else this.logger.error({ ...context, err: error }, 'grant not revoked');
      await this.postpone(revocation).catch((err) => this.logger.warn({ ...context, err }, 'grant not postponed'));
      return !(error instanceof ProviderError);
    }
  }

  /**
   * Leaves a company's grants alone for a while: to revoke an old one while a new one is made could end both. The
   * company is only claimed by then, but a delay does no harm.
   */
  async holdBack(realmId: string, system: AccountingSystem): Promise<void> {
    await this.pending.postponeAll(realmId, system, this.after(HOLD_BACK_MS));
  }

  /** Notes a grant that belongs to no connection of ours, and tries at once. */
  async revokeLoose(grant: Pick<PendingRevocation, 'system' | 'realmId' | 'refreshToken'>): Promise<void> {
    try {
      await this.revoke(await this.pending.record(grant, this.after(FIRST_BACK_OFF_MS)));
    } catch (err) {
      this.logger.error({ realm_id: grant.realmId, err }, 'grant not noted for revocation: this is the only try');
      await this.strategy.revoke(this.fernet.decrypt(grant.refreshToken)).catch(() => undefined);
    }
  }

  private async settle({ realmId, system, refreshToken, createdAt, revocationId }: PendingRevocation): Promise<void> {
    const context = { realm_id: realmId, revocation_id: revocationId };
    if (this.now().getTime() - createdAt.getTime() > GIVE_UP_MS) {
      this.logger.warn(context, 'grant left to run out');
    } else if (await this.tokens.isCompanyConnected(realmId, system)) {
      this.logger.info(context, 'grant kept: its company is connected'); // one revocation can end all of a company's
    } else {
      await this.strategy.revoke(this.fernet.decrypt(refreshToken));
      this.logger.info(context, 'grant revoked');
    }
  }

  private async postpone(revocation: PendingRevocation): Promise<void> {
    const backOff = Math.min(FIRST_BACK_OFF_MS * 2 ** revocation.failures, LONGEST_BACK_OFF_MS);
    await this.pending.postpone(revocation, this.after(backOff * (0.5 + Math.random() / 2)));
  }

  private after(milliseconds: number): Date {
    return new Date(this.now().getTime() + milliseconds);
  }
}
