import type { NewTokenSet, TokenSet } from '../../src/models/connection.ts';
import { type AccountingStrategy, ProviderError } from '../../src/strategies/accounting-strategy.ts';
import type { Conditions } from './conditions.ts';
import type { Ledger } from './ledger.ts';
import type { Family, Issued, Provider } from './provider.ts';
import type { Random } from './random.ts';
import type { Replica } from './replica.ts';
import { SECOND, type VirtualTime } from './virtual-time.ts';

/** The service's own time limit for one call. */
export const TIMEOUT_MS = 10 * SECOND;
/** Who reaches the database for so long can save an answer. */
const SAVABLE_MS = 8 * SECOND;
/** How often a hanging provider did what it was asked. */
const DONE_WHILE_HANGING = 0.02;
/** How often a slow answer comes too late. */
const LATE_WHILE_SLOW = 0.05;
/** How often a lying provider refuses a good token. */
const LIES = 0.7;
/** How often an answer is lost on an ordinary day. */
const ANSWER_LOST = 1 / 20_000;

/** One replica's way to the provider: in time, with its outages and losses, in the words of a strategy. */
export class ProviderLink implements AccountingStrategy {
  readonly system = 'quickbooks';

  constructor(
    private readonly time: VirtualTime,
    private readonly random: Random,
    private readonly conditions: Conditions,
    private readonly provider: Provider,
    private readonly replica: Replica,
    private readonly ledger: Ledger,
  ) {}

  authorizationUrl(state: string): string {
    return `https://provider.example/?state=${state}`;
  }

  async exchangeCode(code: string): Promise<NewTokenSet> {
    const askedAt = this.replica.now().getTime();
    const issued = await this.call(() => this.provider.exchange(code, this.replica));
    if (!issued) throw new ProviderError('refused', { status: 400, reason: 'invalid_grant' });
    return toTokenSet(issued, askedAt);
  }

  async refresh(refreshToken: string): Promise<TokenSet> {
    const askedAt = this.replica.now().getTime();
    const family = this.provider.familyOf(refreshToken);
    const wasUnknown = family?.hasUnknownOutcome ?? false;
    if (family) family.hasUnknownOutcome = true; // until an answer says otherwise
    this.conditions.strikeBefore(this.replica);
    await this.replica.alive();
    this.ledger.tokenCalls += 1;
    try {
      const issued = await this.call(
        () => this.answerRefresh(refreshToken),
        (answer) => answer?.isRotated && this.conditions.strikeAfter(this.replica),
      );
      if (!issued) throw new ProviderError('refused', { status: 400, reason: 'invalid_grant' });
      this.ledger.refreshes += 1;
      issued.family.hasUnknownOutcome = false;
      if (issued.isRotated) this.watch(issued.family, issued.refreshToken);
      return toTokenSet(issued, askedAt);
    } catch (error) {
      this.note(refreshToken, String(error));
      if (family && !(error as ProviderError).facts.outcomeUnknown) family.hasUnknownOutcome = wasUnknown;
      throw error;
    }
  }

  async revoke(refreshToken: string): Promise<void> {
    await this.call(() => {
      this.note(refreshToken, 'revoked');
      this.provider.revoke(refreshToken);
      return undefined;
    });
  }

  async companyName(realmId: string, accessToken: string): Promise<string> {
    let isOpen = false;
    await this.call(() => {
      isOpen = this.provider.opens(accessToken);
      return undefined;
    });
    if (!isOpen) throw new ProviderError('refused', { status: 401 });
    return `Company ${realmId}`;
  }

  private answerRefresh(refreshToken: string): Issued | undefined {
    if (this.conditions.outageKind === 'lying' && this.random.chance(LIES)) {
      this.note(refreshToken, 'refused falsely');
      return undefined;
    }
    const answer = this.provider.refresh(refreshToken, this.replica);
    const why = this.provider.familyOf(refreshToken)?.ended?.why ?? 'unknown';
    this.note(refreshToken, answer ? `answered ${answer.family.token}` : `refused: ${why}`);
    return answer;
  }

  /** One request and its answer. What the provider does, it does whether or not anybody hears of it. */
  private async call(
    work: () => Issued | undefined,
    isLost: (answer: Issued | undefined) => boolean | undefined = () => false,
  ): Promise<Issued | undefined> {
    await this.time.sleep(this.random.between(20, 200));
    const { outageKind } = this.conditions;
    if (outageKind === 'away') throw new ProviderError('unavailable', { reason: 'ECONNREFUSED' });
    if (outageKind === 'hanging') return this.lose(this.random.chance(DONE_WHILE_HANGING) ? work() : undefined);
    if (outageKind === 'unavailable') {
      await this.comeBack(this.random.between(50, 900));
      throw new ProviderError('unavailable', { status: 503 });
    }
    const answer = work();
    const isSlow = outageKind === 'slow' && this.random.chance(0.3);
    const isTooLate = isSlow && this.random.chance(LATE_WHILE_SLOW);
    if (isLost(answer) || isTooLate || this.random.chance(ANSWER_LOST)) return this.lose(answer);
    await this.comeBack(isSlow ? this.random.between(3_000, 9_500) : this.random.between(50, 900));
    return answer;
  }

  /** The answer never comes: the connection breaks, or the time is up. */
  private async lose(answer: Issued | undefined): Promise<never> {
    if (answer) this.provider.loseAnswer(answer, this.replica);
    const isBroken = this.random.chance(0.3);
    await this.comeBack(isBroken ? this.random.between(50, 5_000) : TIMEOUT_MS);
    throw new ProviderError('unavailable', { reason: isBroken ? 'ECONNRESET' : 'TimeoutError', outcomeUnknown: true });
  }

  /** Notes when this process could have saved what it was handed: it ran, and reached the database for long enough. */
  private watch(family: Family, token: string): void {
    this.time.after(SAVABLE_MS, () => {
      if (this.replica.isGone || family.token !== token) return;
      const reachableSince = Math.max(this.conditions.database.awayUntil, this.replica.cutOffUntil);
      if (this.time.now - reachableSince >= SAVABLE_MS) family.wasSavable = true;
      else this.watch(family, token);
    });
  }

  private async comeBack(milliseconds: number): Promise<void> {
    await this.time.sleep(milliseconds);
    await this.replica.alive();
  }

  private note(refreshToken: string, text: string): void {
    const realmId = this.provider.familyOf(refreshToken)?.realmId;
    this.ledger.note(realmId, `${this.replica.name} ${refreshToken}: ${text}`);
  }
}

/** As the service's own strategy does: lifetimes count from before the call. */
function toTokenSet(issued: Issued, askedAt: number): NewTokenSet {
  const after = (milliseconds: number) => new Date(askedAt + milliseconds);
  return {
    accessToken: issued.accessToken,
    accessTokenExpiresAt: after(issued.accessTokenMs),
    refreshToken: issued.refreshToken,
    refreshTokenExpiresAt: after(Math.min(issued.refreshTokenMs, issued.hardMs)),
    refreshTokenHardExpiresAt: after(issued.hardMs),
    intuitTid: undefined,
  };
}
