import type { NewTokenSet, PlainToken, RealmId, TokenSet } from '../../src/models/connection.ts';
import type {
  AccountingStrategy,
  AuthorizedCallback,
  Company,
  NewGrant,
  ProviderProfile,
} from '../../src/strategies/accounting-strategy.ts';
import { ProviderError } from '../../src/strategies/provider-error.ts';
import type { Environment } from './implementation.ts';
import { ProviderConnection, TIMEOUT_MS } from './provider-connection.ts';
import type { Replica } from './replica.ts';
import type { TokenFamily, TokenResponse } from './token-family.ts';
import { DAY, SECOND } from './virtual-time.ts';

/** A process that can reach the database for this long can save a response. */
const SAVABLE_MS = 8 * SECOND;
/** How often the request for a company is throttled. */
const COMPANY_THROTTLED = 0.05;
/** How often a valid token is rejected while the provider rejects falsely. */
const FALSE_REJECTION = 0.7;
const REFRESH_TOKEN_MS = 100 * DAY;

/** A mistake in the protocol, which the simulation must detect. */
export type Mistake = 'discards unread responses' | 'sends after its lease';

/** The strategy of one replica. Its provider is simulated. */
export class SimulatedStrategy implements AccountingStrategy {
  readonly system = 'quickbooks';
  readonly profile: ProviderProfile = {
    title: 'Provider',
    redirectUri: 'https://service.example/callback',
    timeoutMs: TIMEOUT_MS,
    api: {
      baseUrl: 'https://provider.example',
      companyPath: (realmId) => `/${realmId}`,
      headers: {},
      timeoutMs: TIMEOUT_MS,
    },
    maintenance: { keepAliveMs: 14 * DAY, expiryNoticesMs: [30 * DAY, 7 * DAY], verifyIdleMs: DAY },
  };
  private readonly environment: Environment;
  private readonly replica: Replica;
  private readonly connection: ProviderConnection;

  private readonly mistake: Mistake | undefined;

  constructor(environment: Environment, replica: Replica, mistake?: Mistake) {
    this.environment = environment;
    this.replica = replica;
    this.mistake = mistake;
    this.connection = new ProviderConnection(environment, replica, mistake === 'discards unread responses');
  }

  authorizationUrl(state: string): string {
    return `https://provider.example/?state=${state}`;
  }

  parseCallback(): never {
    throw new Error('the simulation has no browsers');
  }

  async exchangeCode({ code, realmId = '' as RealmId }: AuthorizedCallback): Promise<NewGrant> {
    const sentAt = this.replica.clock.now().getTime();
    const response = await this.connection.call(() => this.environment.provider.exchange(code, this.replica));
    if (!response) throw invalidGrant();
    return { realmId, tokens: toTokenSet(response, sentAt) };
  }

  async refresh(refreshToken: PlainToken, maySend?: () => boolean): Promise<TokenSet> {
    const { faults, provider, recorder } = this.environment;
    const sentAt = this.replica.clock.now().getTime();
    const family = provider.familyOf(refreshToken);
    const hadUnknownOutcome = family?.hasUnknownOutcome ?? false;
    if (family) family.hasUnknownOutcome = true;
    faults.beforeRefresh(this.replica);
    await this.replica.whileRunning();
    recorder.tokenCalls += 1;
    try {
      const response = await this.connection.call(() => this.refreshAtProvider(refreshToken), {
        isLost: (sent) => sent?.isRotated === true && faults.afterRotation(this.replica),
        maySend: this.mistake === 'sends after its lease' ? undefined : maySend,
      });
      if (!response) throw invalidGrant();
      recorder.refreshes += 1;
      response.family.hasUnknownOutcome = false;
      if (response.isRotated) this.watchSavability(response.family, response.refreshToken);
      return toTokenSet(response, sentAt);
    } catch (error) {
      this.trace(refreshToken, String(error));
      if (family && !(error as ProviderError).details.isOutcomeUnknown) family.hasUnknownOutcome = hadUnknownOutcome;
      throw error;
    }
  }

  async revoke(refreshToken: PlainToken): Promise<void> {
    await this.connection.call(() => {
      this.trace(refreshToken, 'revoked');
      this.environment.provider.revoke(refreshToken);
      return undefined;
    });
  }

  async readCompany(realmId: RealmId, accessToken: PlainToken): Promise<Company> {
    const { provider, random, recorder } = this.environment;
    let isAccepted = false;
    await this.connection.call(() => {
      isAccepted = provider.grantsAccess(accessToken, realmId);
      return undefined;
    });
    if (random.chance(COMPANY_THROTTLED)) {
      recorder.count('throttled requests for a company');
      throw new ProviderError('unavailable', { status: 403, reason: '3001' });
    }
    if (!isAccepted) throw new ProviderError('rejected', { status: 401 });
    return { name: `Company ${realmId}` };
  }

  private refreshAtProvider(refreshToken: string): TokenResponse | undefined {
    const { faults, provider, random } = this.environment;
    if (faults.outage === 'false_rejections' && random.chance(FALSE_REJECTION)) {
      this.trace(refreshToken, 'rejected falsely');
      return undefined;
    }
    const response = provider.refresh(refreshToken, this.replica);
    const reason = provider.familyOf(refreshToken)?.end?.reason ?? 'unknown';
    this.trace(refreshToken, response ? `returned ${response.refreshToken}` : `rejected: ${reason}`);
    return response;
  }

  /** Records once this process has run and reached the database for long enough to save what it received. */
  private watchSavability(family: TokenFamily, refreshToken: string): void {
    const { time, faults } = this.environment;
    time.after(SAVABLE_MS, () => {
      if (this.replica.hasEnded || family.refreshToken !== refreshToken) return;
      const { partitionedUntil, pausedUntil, node } = this.replica;
      const reachableSince = Math.max(faults.databaseOutageEndsAt, partitionedUntil, pausedUntil, node.lagsUntil);
      if (time.now - reachableSince >= SAVABLE_MS) family.wasSavable = true;
      else this.watchSavability(family, refreshToken);
    });
  }

  private trace(refreshToken: string, text: string): void {
    const { provider, recorder } = this.environment;
    recorder.trace(provider.familyOf(refreshToken)?.realmId, `${this.replica.name} ${refreshToken}: ${text}`);
  }
}

function invalidGrant(): ProviderError {
  return new ProviderError('rejected', { status: 400, reason: 'invalid_grant' });
}

/** Lifetimes begin before the call, as in the service's own strategy. */
function toTokenSet(response: TokenResponse, sentAt: number): NewTokenSet {
  const after = (milliseconds: number) => new Date(sentAt + milliseconds);
  return {
    accessToken: response.accessToken as PlainToken,
    accessTokenExpiresAt: after(response.accessTokenMs),
    refreshToken: response.refreshToken as PlainToken,
    refreshTokenExpiresAt: after(response.refreshTokenMs ?? REFRESH_TOKEN_MS),
    isRefreshExpiryAssumed: response.refreshTokenMs === undefined,
    authorizationExpiresAt: response.authorizationMs === undefined ? undefined : after(response.authorizationMs),
    intuitTid: undefined,
  };
}
