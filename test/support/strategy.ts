import { inspect } from 'node:util';
import { afterAll, beforeAll, beforeEach, expect } from '@jest/globals';
import type { Fault } from '../../dev/intuit-simulator/faults.ts';
import { type IntuitSimulator, startIntuitSimulator } from '../../dev/intuit-simulator/simulator.ts';
import { loadConfig } from '../../src/config/config.ts';
import { type AccountingStrategy, ProviderError } from '../../src/strategies/accounting-strategy.ts';
import { createStrategy } from '../../src/strategies/strategy-registry.ts';
import { environment, REDIRECT_URI } from './environment.ts';
import { secretsOfCalls } from './secrets.ts';

/** How the simulator may leave a call without a whole answer. */
export const UNANSWERED = [
  ['is slow', { kind: 'slow', delayMs: 5000 }],
  ['answers too late', { kind: 'slow_after', delayMs: 5000 }],
  ['never answers', { kind: 'hang' }],
  ['breaks off', { kind: 'drop_before' }],
  ['breaks off when it is done', { kind: 'drop_after' }],
  ['breaks off in its answer', { kind: 'truncate' }],
] as const;

export const COMPANY = '9341452000000001';
export const BASIC = `Basic ${Buffer.from('simulator-client-id:simulator-client-secret').toString('base64')}`;
/** An answer of the token endpoint. */
export const TOKENS = {
  access_token: 'canary-access-token',
  expires_in: 3600,
  refresh_token: 'canary-refresh-token',
  x_refresh_token_expires_in: 8_640_000,
};

/** Strategies, of little patience, and an Intuit for the tests of one file; each begins without faults and calls. */
export function useIntuit(now: () => Date = () => new Date()) {
  let simulator: IntuitSimulator;
  beforeAll(async () => {
    simulator = await startIntuitSimulator({ now });
  });
  beforeEach(() => {
    simulator.clearFaults();
    simulator.resetCalls();
  });
  afterAll(() => simulator.close());

  const intuit = {
    get simulator() {
      return simulator;
    },
    /** @param env is added to the tests' variables */
    strategy: (env: Record<string, string> = {}): AccountingStrategy => {
      const variables = { ...environment('sqlite::memory:', simulator), PROVIDER_TIMEOUT_MS: '300', ...env };
      return createStrategy('quickbooks', loadConfig(variables), now);
    },
    newCode: (realmId = COMPANY) => simulator.issueCode({ realmId, redirectUri: REDIRECT_URI }),
    newGrant: async (realmId?: string) => {
      const grant = await intuit.strategy().exchangeCode(intuit.newCode(realmId));
      simulator.resetCalls();
      return grant;
    },
    lastCall: () => simulator.calls.at(-1),
  };
  return intuit;
}

/** How the one call of `run` fails under the fault, having told no secret. */
export async function failureOf(
  simulator: IntuitSimulator,
  run: () => Promise<unknown>,
  fault: Fault,
): Promise<ProviderError> {
  simulator.fail(fault);
  const error: unknown = await run().then(
    () => 'it succeeded',
    (thrown) => thrown,
  );
  expect(simulator.calls).toMatchObject([{ fault: fault.kind }]);
  expect(error).toBeInstanceOf(ProviderError);
  const told = `${JSON.stringify(error)}${inspect(error, { depth: 9, showHidden: true })}${(error as Error).stack}`;
  const secrets = [...secretsOfCalls(simulator.calls, simulator), 'simulator-client-secret', 'canary', 'eyJ'];
  for (const secret of secrets) expect(told).not.toContain(secret);
  return error as ProviderError;
}
