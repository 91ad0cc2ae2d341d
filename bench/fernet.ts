import { randomAccessToken } from '../dev/intuit-simulator/random-values.ts';
import { Fernet } from '../src/crypto/fernet.ts';
import { decryptWithPackage, encryptWithPackage } from '../test/support/fernet-package.ts';
import { median } from './rounds.ts';

/** Operations per second. */
export interface FernetRates {
  service: number;
  /** The `fernet` package. */
  baseline: number;
}

/** Measures this service's Fernet and the `fernet` package alternately, on an access token as long as Intuit's. */
export function measureFernet(rounds: number, roundMs: number): { encrypt: FernetRates; decrypt: FernetRates } {
  const key = Fernet.generateKey();
  const fernet = new Fernet([key]);
  const text = randomAccessToken();
  const token = fernet.encrypt(text);
  if (decryptWithPackage(key, token) !== text || fernet.decrypt(encryptWithPackage(key, text)) !== text) {
    throw new Error('the two implementations are not compatible');
  }
  const compare = (service: () => unknown, baseline: () => unknown): FernetRates => {
    const rates = Array.from({ length: rounds }, () => [rate(service, roundMs), rate(baseline, roundMs)] as const);
    return { service: median(rates.map(([first]) => first)), baseline: median(rates.map(([, second]) => second)) };
  };
  return {
    encrypt: compare(
      () => fernet.encrypt(text),
      () => encryptWithPackage(key, text),
    ),
    decrypt: compare(
      () => fernet.decrypt(token),
      () => decryptWithPackage(key, token),
    ),
  };
}

/** Repeats an operation for `durationMs`. Returns its operations per second. */
function rate(operation: () => unknown, durationMs: number): number {
  const startedAt = performance.now();
  let count = 0;
  while (performance.now() - startedAt < durationMs) {
    operation();
    count += 1;
  }
  return (count / (performance.now() - startedAt)) * 1000;
}
