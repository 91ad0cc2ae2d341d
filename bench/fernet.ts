import { randomAccessToken } from '../dev/intuit-simulator/random-values.ts';
import { Fernet } from '../src/crypto/fernet.ts';
import { openWithPackage, sealWithPackage } from '../test/support/fernet-package.ts';
import { median } from './median.ts';

/** Operations a second. */
export interface FernetFigures {
  ours: number;
  others: number;
}

/** Ours and the `fernet` package's, in turns, on an access token as long as Intuit's. */
export function measureFernet(
  rounds: number,
  milliseconds: number,
): { encrypt: FernetFigures; decrypt: FernetFigures } {
  const key = Fernet.generateKey();
  const fernet = new Fernet([key]);
  const text = randomAccessToken();
  const token = fernet.encrypt(text);
  if (openWithPackage(key, token) !== text || fernet.decrypt(sealWithPackage(key, text)) !== text) {
    throw new Error('the two do not understand each other');
  }
  const compare = (ours: () => unknown, others: () => unknown): FernetFigures => {
    const turns = Array.from({ length: rounds }, () => [rate(ours, milliseconds), rate(others, milliseconds)] as const);
    return { ours: median(turns.map(([own]) => own)), others: median(turns.map(([, other]) => other)) };
  };
  return {
    encrypt: compare(
      () => fernet.encrypt(text),
      () => sealWithPackage(key, text),
    ),
    decrypt: compare(
      () => fernet.decrypt(token),
      () => openWithPackage(key, token),
    ),
  };
}

function rate(work: () => unknown, milliseconds: number): number {
  const began = performance.now();
  let count = 0;
  while (performance.now() - began < milliseconds) {
    work();
    count += 1;
  }
  return (count / (performance.now() - began)) * 1000;
}
