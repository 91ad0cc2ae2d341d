import { expect } from '@jest/globals';
import fc from 'fast-check';
import type { Sent } from './send.ts';

/** Any text, by its bytes, letters that matter among them. */
export const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.string({ unit: fc.constantFrom(...'.%2Ee/\\;:?#&=+ \0\r\n\t"\'<>{}[]|^~éA0_-'), maxLength: 60 }),
);

/** The text with a letter changed, taken away or put in, or cut. */
export function mutated(original: () => string): fc.Arbitrary<string> {
  const change = fc.tuple(fc.nat(5000), fc.nat(1), fc.constantFrom(...'ABxyz01-_.=', ''), fc.boolean());
  return change
    .map(([place, cut, put, isEnd]) => {
      const at = place % original().length;
      return original().slice(0, at) + put + (isEnd ? '' : original().slice(at + cut));
    })
    .filter((value) => value !== original());
}

/** What a header or a request line can carry of it. */
export function printable(value: string): string {
  return value.replace(/[^\x21-\x7e]/g, '~').replace(/[#;]/g, '_');
}

/** Each of these values gets this status, as a problem, and begins nothing. */
export async function expectRefused<T>(values: fc.Arbitrary<T>, status: number, call: (value: T) => Promise<Sent>) {
  const problem = 'application/problem+json; charset=utf-8';
  const refuses = fc.asyncProperty(values, async (value) => {
    const answer = await call(value);
    expect([answer.status, answer.headers['content-type']]).toEqual([status, problem]);
    expect(answer.headers).not.toHaveProperty('set-cookie');
  });
  await fc.assert(refuses, { numRuns: 40 });
}
