import type { Round } from './load.ts';
import { medianRound } from './median.ts';

/** Rounds that do not count: code runs several times slower until it is compiled. */
const WARM_UP = 2;

/** What is compared: each by its name. */
export type Contest<Name extends string> = Record<Name, () => Promise<Round>>;

/** Lets all take turns, so that what else the machine does meets all of them, and answers each one's median. */
export async function takeTurns<Name extends string>(
  contest: Contest<Name>,
  rounds: number,
): Promise<Record<Name, Round>> {
  const names = Object.keys(contest) as Name[];
  const results = new Map<Name, Round[]>(names.map((name) => [name, []]));
  for (let round = 1; round <= WARM_UP + rounds; round += 1) {
    for (const name of names) {
      const result = await contest[name]();
      if (round > WARM_UP) results.get(name)?.push(result);
    }
  }
  return Object.fromEntries(names.map((name) => [name, medianRound(results.get(name) ?? [])])) as Record<Name, Round>;
}
