import { expect } from '@jest/globals';
import fc from 'fast-check';
import type { Sent } from './send.ts';

/** Any text, including characters that have a meaning in URLs, headers and JSON. */
export const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.string({ unit: fc.constantFrom(...'.%2Ee/\\;:?#&=+ \0\r\n\t"\'<>{}[]|^~éA0_-'), maxLength: 60 }),
);

/** The text with one character changed, removed or inserted, or cut off. */
export function mutated(original: () => string): fc.Arbitrary<string> {
  const change = fc.tuple(fc.nat(5000), fc.nat(1), fc.constantFrom(...'ABxyz01-_.=', ''), fc.boolean());
  return change
    .map(([place, removed, inserted, isCutOff]) => {
      const at = place % original().length;
      return original().slice(0, at) + inserted + (isCutOff ? '' : original().slice(at + removed));
    })
    .filter((value) => value !== original());
}

/** The value with every character replaced that a header or a request line cannot contain. */
export function printable(value: string): string {
  return value.replace(/[^\x21-\x7e]/g, '~').replace(/[#;]/g, '_');
}

/** Sends each of these values: the response must be a problem with this status and set no cookie. */
export async function expectRejected<T>(values: fc.Arbitrary<T>, status: number, call: (value: T) => Promise<Sent>) {
  const problem = 'application/problem+json; charset=utf-8';
  const isRejected = fc.asyncProperty(values, async (value) => {
    const response = await call(value);
    expect([response.status, response.headers['content-type']]).toEqual([status, problem]);
    expect(response.headers).not.toHaveProperty('set-cookie');
  });
  await fc.assert(isRejected, { numRuns: 40 });
}
