/**
 * How one item's work ended.
 * - `done`: the provider or receiver was called.
 * - `skipped`: nothing was called, so that no pause is needed.
 * - `provider_down`: the provider failed, for this item's company at least.
 */
export type JobOutcome = 'done' | 'skipped' | 'provider_down';

/** Work that the worker does by itself. Any number of workers share it: each item is claimed by a conditional write. */
export interface Job<Item = unknown> {
  readonly name: string;
  /** How many items are worked on at once. */
  readonly concurrency: number;
  /** Pause between two looks for due items, in milliseconds. */
  readonly intervalMs: number;
  /** Pause after an item whose outcome is `done`, in milliseconds. */
  readonly pauseMs: number;
  /** Reads the items that are due, by an index. */
  listDue(limit: number): Promise<Item[]>;
  /** Acquires the right to work on an item. Undefined if another worker has it. */
  claim(item: Item): Promise<Item | undefined>;
  /**
   * Returns the realm ID of the company that an item concerns; if it is unknown, the item's own ID. Absent if the job never
   * returns `provider_down`.
   */
  companyOf?(item: Item): string;
  run(item: Item): Promise<JobOutcome>;
}
