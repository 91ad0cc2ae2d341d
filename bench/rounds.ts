import type { Round } from './load.ts';

/** Rounds that do not count: code runs several times slower until it is compiled. */
const WARM_UP = 2;

/** Runs the candidates alternately, so that other load on the machine affects all of them. Returns their medians. */
export async function interleave<Name extends string>(
  candidates: Record<Name, () => Promise<Round>>,
  rounds: number,
): Promise<Record<Name, Round>> {
  const names = Object.keys(candidates) as Name[];
  const results = new Map<Name, Round[]>(names.map((name) => [name, []]));
  for (let round = 1; round <= WARM_UP + rounds; round += 1) {
    for (const name of names) {
      const result = await candidates[name]();
      if (round > WARM_UP) results.get(name)?.push(result);
    }
  }
  return Object.fromEntries(names.map((name) => [name, medianRound(results.get(name) ?? [])])) as Record<Name, Round>;
}

export function median(numbers: number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

/** The median of each figure. */
function medianRound(rounds: Round[]): Round {
  const of = (figure: keyof Round) => median(rounds.map((round) => round[figure]));
  return { requests: of('requests'), perSecond: of('perSecond'), p50: of('p50'), p99: of('p99'), cpu: of('cpu') };
}
