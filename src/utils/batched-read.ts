import type { Clock } from './clock.ts';

/** The reads that wait for the end of this iteration of the event loop. */
interface Batch<Key, Value> {
  keys: Set<Key>;
  values: Promise<ReadonlyMap<Key, Value>>;
}

/** Reads the values of these keys. What does not exist is absent from the result. */
type Load<Key, Value> = (keys: Key[]) => Promise<ReadonlyMap<Key, Value>>;

/** Combines the reads of one iteration of the event loop into one. An error of it reaches each of them. */
export class BatchedRead<Key, Value> {
  private readonly clock: Clock;
  private readonly load: Load<Key, Value>;
  private batch: Batch<Key, Value> | undefined;

  constructor(clock: Clock, load: Load<Key, Value>) {
    this.clock = clock;
    this.load = load;
  }

  /** Reads a value, never before this call; undefined if there is none. */
  async read(key: Key): Promise<Value | undefined> {
    this.batch ??= this.startBatch();
    const { keys, values } = this.batch;
    keys.add(key);
    return (await values).get(key);
  }

  private startBatch(): Batch<Key, Value> {
    const keys = new Set<Key>();
    return { keys, values: this.loadNextTurn(keys) };
  }

  private async loadNextTurn(keys: Set<Key>): Promise<ReadonlyMap<Key, Value>> {
    await this.clock.nextTurn();
    this.batch = undefined; // a later caller may expect a change that this read misses
    return this.load([...keys]);
  }
}
