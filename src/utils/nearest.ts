/** The candidate with the smallest edit distance to `text`, or undefined if none is within `max`. */
export function nearest(text: string, candidates: string[], max: number): string | undefined {
  const [best] = candidates
    .map((candidate) => ({ candidate, distance: editDistance(text, candidate) }))
    .filter(({ distance }) => distance <= max)
    .sort((a, b) => a.distance - b.distance);
  return best?.candidate;
}

/** Levenshtein's: how many characters are inserted, deleted or replaced. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [i, character] of [...from].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...to].entries()) {
      const [insert = 0, remove = 0, replace = 0] = [next[j], row[j + 1], row[j]];
      next.push(Math.min(insert + 1, remove + 1, replace + (character === other ? 0 : 1)));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
