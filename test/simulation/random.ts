/** A stream of random numbers that a seed determines. The same seed and name, the same stream. */
export class Random {
  private state: number;

  constructor(
    private readonly seed: number,
    name = '',
  ) {
    this.state = hash(`${seed}/${name}`);
  }

  /** A stream of its own: what is drawn from it changes no other. */
  fork(name: string): Random {
    return new Random(this.seed, name);
  }

  /** At least 0, less than 1 (mulberry32). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  between(least: number, most: number): number {
    return least + this.next() * (most - least);
  }

  /** Between the two, each order of magnitude as likely as the others. */
  scaled(least: number, most: number): number {
    return least * (most / least) ** this.next();
  }

  /** The time to the next of events that come by chance, this far apart on the average. */
  gap(mean: number): number {
    return -Math.log(1 - this.next()) * mean;
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.next() * items.length)];
    if (item === undefined) throw new Error('nothing to pick from');
    return item;
  }
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const character of text) value = Math.imul(value ^ character.charCodeAt(0), 0x01000193);
  return value;
}
