import { inspect } from 'node:util';
import { expect } from '@jest/globals';
import { loadConfig } from '../../src/config.ts';
import { type AccountingStrategy, ProviderError } from '../../src/strategies/base.ts';
import { createStrategy } from '../../src/strategies/factory.ts';
import { environment } from './environment.ts';
import type { Fault } from './intuit-simulator/faults.ts';
import type { IntuitSimulator } from './intuit-simulator/simulator.ts';
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

/** The strategy that speaks to the simulator, with little patience. @param env is added to the tests' variables */
export function strategyFor(
  simulator: IntuitSimulator,
  now: () => Date,
  env: Record<string, string> = {},
): AccountingStrategy {
  const variables = { ...environment('sqlite::memory:', simulator), PROVIDER_TIMEOUT_MS: '300', ...env };
  return createStrategy('quickbooks', loadConfig(variables), now);
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
