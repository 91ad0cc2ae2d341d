import { ProviderError } from '../../src/strategies/provider-error.ts';
import type { Environment } from './implementation.ts';
import type { Replica } from './replica.ts';
import type { TokenResponse } from './token-family.ts';
import { SECOND } from './virtual-time.ts';

/** The service's timeout for one call. */
export const TIMEOUT_MS = 10 * SECOND;
/** How often a provider that does not respond has processed the request. */
const PROCESSED_WHILE_HANGING = 0.02;
/** How often a response is slow while the provider is, and how often it is then too late. */
const SLOW = 0.3;
const TOO_LATE = 0.05;
/** How often a response is lost without an outage. */
const RESPONSE_LOST = 1 / 20_000;

interface CallOptions {
  /** Whether the response is lost on its way. */
  isLost?: (response: TokenResponse | undefined) => boolean;
  /** Asked just before the request is sent. */
  maySend?: (() => boolean) | undefined;
}

/** One replica's connection to the provider, with its latency, outages and lost responses. */
export class ProviderConnection {
  private readonly environment: Environment;
  private readonly replica: Replica;
  private readonly discardsUnread: boolean;

  /** @param discardsUnread evaluates the timeout before a response that is there is read: a mistake */
  constructor(environment: Environment, replica: Replica, discardsUnread = false) {
    this.environment = environment;
    this.replica = replica;
    this.discardsUnread = discardsUnread;
  }

  /** One request. The provider processes it whether or not its response is received. */
  async call(
    process: () => TokenResponse | undefined,
    { isLost = () => false, maySend = () => true }: CallOptions = {},
  ): Promise<TokenResponse | undefined> {
    const { time, random, faults } = this.environment;
    await time.sleep(random.uniform(20, 200));
    await this.replica.whileRunning();
    if (!maySend()) throw new ProviderError('unavailable', { isTooLate: true });
    const { outage } = faults;
    if (outage === 'refusing') throw new ProviderError('unavailable', { reason: 'ECONNREFUSED' });
    if (outage === 'hanging') return this.loseResponse(random.chance(PROCESSED_WHILE_HANGING) ? process() : undefined);
    if (outage === 'unavailable') {
      await this.receive(random.uniform(50, 900));
      throw new ProviderError('unavailable', { status: 503 });
    }
    const response = process();
    const isSlow = outage === 'slow' && random.chance(SLOW);
    const isTooLate = isSlow && random.chance(TOO_LATE);
    if (isLost(response) || isTooLate || random.chance(RESPONSE_LOST)) return this.loseResponse(response);
    const sentAt = time.now;
    await this.receive(isSlow ? random.uniform(3_000, 9_500) : random.uniform(50, 900));
    // A process that was paused reads a response that is there, however long its timer has expired.
    if (this.discardsUnread && time.now - sentAt > TIMEOUT_MS) throw timeout();
    return response;
  }

  /** The connection breaks or the call times out before the response is received. */
  private async loseResponse(response: TokenResponse | undefined): Promise<never> {
    const { provider, random } = this.environment;
    if (response) provider.loseResponse(response, this.replica);
    const isReset = random.chance(0.3);
    await this.receive(isReset ? random.uniform(50, 5_000) : TIMEOUT_MS);
    throw isReset ? new ProviderError('unavailable', { reason: 'ECONNRESET', isOutcomeUnknown: true }) : timeout();
  }

  private async receive(latencyMs: number): Promise<void> {
    await this.environment.time.sleep(latencyMs);
    await this.replica.whileRunning();
  }
}

function timeout(): ProviderError {
  return new ProviderError('unavailable', { reason: 'timeout', isTimeout: true, isOutcomeUnknown: true });
}
