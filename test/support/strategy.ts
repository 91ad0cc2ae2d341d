import { inspect } from 'node:util';
import { afterAll, beforeAll, beforeEach, expect } from '@jest/globals';
import type { Fault } from '../../dev/intuit-simulator/faults.ts';
import { type IntuitSimulator, startIntuitSimulator } from '../../dev/intuit-simulator/simulator.ts';
import { loadConfig } from '../../src/config/config.ts';
import type { RealmId } from '../../src/models/connection.ts';
import type { AccountingStrategy, NewGrant } from '../../src/strategies/accounting-strategy.ts';
import { ProviderError } from '../../src/strategies/provider-error.ts';
import { QuickBooksStrategy } from '../../src/strategies/quickbooks/quickbooks-strategy.ts';
import { DIRECT } from './egress.ts';
import { environment, REDIRECT_URI } from './environment.ts';
import { secretsOfCalls } from './secrets.ts';
import { TestClock } from './test-clock.ts';
import { until } from './until.ts';

/** The wall clock of each test. */
export const NOW = new Date('2026-02-10T14:00:00.000Z');
export const COMPANY = '9341452000000001' as RealmId;
export const OTHER_COMPANY = '9341452000000002' as RealmId;
export const BASIC = `Basic ${Buffer.from('simulator-client-id:simulator-client-secret').toString('base64')}`;
/** A response of the token endpoint. */
export const TOKENS = {
  access_token: 'canary-access-token',
  expires_in: 3600,
  refresh_token: 'canary-refresh-token',
  x_refresh_token_expires_in: 8_640_000,
};

/** Every way in which Intuit may leave a call without a complete response. */
export const NO_RESPONSE = [
  ['responds too late', { kind: 'slow', delayMs: 3_600_000 }],
  ['responds too late, having done it at once', { kind: 'slow_after', delayMs: 3_600_000 }],
  ['never responds', { kind: 'hang' }],
  ['never responds, having done it', { kind: 'hang_after' }],
  ['breaks the connection', { kind: 'drop_before' }],
  ['breaks the connection, having done it', { kind: 'drop_after' }],
  ['breaks the connection within its response', { kind: 'truncate' }],
] as const satisfies [string, Omit<Fault, 'on'>][];

/** Reached only by a clock that a test advances. */
const TIMEOUT_MS = 20_000;

/** QuickBooks strategies, and the Intuit that they call, for the tests of one file. */
export class IntuitTest {
  readonly clock = new TestClock();
  simulator!: IntuitSimulator;

  /** @param env added to the variables of all tests */
  strategy(env: Record<string, string> = {}): AccountingStrategy {
    const variables = environment('sqlite::memory:', this.simulator);
    const config = loadConfig({ ...variables, PROVIDER_TIMEOUT_MS: String(TIMEOUT_MS), ...env });
    const { quickbooks: settings } = config;
    return new QuickBooksStrategy({ settings, verifyIdleMs: undefined, egress: DIRECT, clock: this.clock });
  }

  newCode(realmId: string = COMPANY): string {
    return this.simulator.issueCode({ realmId, redirectUri: REDIRECT_URI });
  }

  async exchange(code: string, strategy = this.strategy()): Promise<NewGrant> {
    return strategy.exchangeCode({ state: 'state', code, realmId: COMPANY });
  }

  /** The tokens of a new grant, whose exchange is not among the recorded calls. */
  async newTokens(realmId?: string): Promise<NewGrant['tokens']> {
    const { tokens } = await this.exchange(this.newCode(realmId));
    this.simulator.resetCalls();
    return tokens;
  }

  /** Returns how `operation` fails under a fault: after one call to Intuit, with an error that contains no secret. */
  async failureOf(operation: () => Promise<unknown>, fault: Fault): Promise<ProviderError> {
    const { simulator, clock } = this;
    simulator.fail(fault);
    const failed = operation().then(
      () => 'it succeeded',
      (thrown: unknown) => thrown,
    );
    if (/slow|hang/.test(fault.kind)) {
      await until(() => simulator.calls.some((call) => call.fault));
      clock.advance(TIMEOUT_MS);
    }
    const error = await failed;
    expect(error).toBeInstanceOf(ProviderError);
    expect(simulator.calls).toMatchObject([{ fault: fault.kind }]);
    const { stack } = error as ProviderError;
    const text = `${JSON.stringify(error)}${inspect(error, { depth: 9, showHidden: true })}${stack}`;
    const secrets = [...secretsOfCalls(simulator.calls, simulator), 'simulator-client-secret', 'canary', 'eyJ'];
    for (const secret of secrets) expect(text).not.toContain(secret);
    return error as ProviderError;
  }
}

/** Each test begins at `NOW`, with no faults and no recorded calls. */
export function useIntuit(): IntuitTest {
  const intuit = new IntuitTest();
  beforeAll(async () => {
    intuit.simulator = await startIntuitSimulator({ now: () => intuit.clock.now() });
  });
  beforeEach(() => {
    intuit.clock.setWallClock(NOW);
    intuit.simulator.clearFaults();
    intuit.simulator.resetCalls();
  });
  afterAll(() => intuit.simulator.close());
  return intuit;
}
