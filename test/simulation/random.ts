/** A stream of random numbers that a seed and a name determine. */
export class Random {
  private readonly seed: number;
  private state: number;

  constructor(seed: number, name = '') {
    this.seed = seed;
    this.state = hash(`${seed}/${name}`);
  }

  /** Returns an independent stream: numbers drawn from it do not change any other stream. */
  fork(name: string): Random {
    return new Random(this.seed, name);
  }

  /** At least 0 and less than 1 (mulberry32). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  uniform(min: number, max: number): number {
    return min + this.next() * (max - min);
  }

  logUniform(min: number, max: number): number {
    return min * (max / min) ** this.next();
  }

  exponential(mean: number): number {
    return -Math.log(1 - this.next()) * mean;
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.next() * items.length)];
    if (item === undefined) throw new Error('there is nothing to pick from');
    return item;
  }
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const character of text) value = Math.imul(value ^ character.charCodeAt(0), 0x01000193);
  return value;
}
