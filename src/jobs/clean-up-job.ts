import type { ConnectionEventDatastore } from '../datastores/connection-event-datastore.ts';
import type { OAuthStateDatastore } from '../datastores/oauth-state-datastore.ts';
import { type Clock, earliestNow } from '../utils/clock.ts';
import type { Job, JobOutcome } from './job.ts';

const DAY_MS = 86_400_000;
const EVENT_RETENTION_MS = 400 * DAY_MS;
/** Beyond their expiry, for replicas whose clocks differ: a state that was deleted could be used again. */
const STATE_RETENTION_MS = DAY_MS;

interface Dependencies {
  states: OAuthStateDatastore;
  events: ConnectionEventDatastore;
  clock: Clock;
}

/** Deletes one batch of rows. */
type Deletion = () => Promise<void>;

/** Deletes consumed states that have expired, and events past their retention. */
export class CleanUpJob implements Job<Deletion> {
  readonly name = 'clean-up';
  readonly concurrency = 1;
  readonly intervalMs = 5_000;
  readonly pauseMs = 0;
  private readonly states: OAuthStateDatastore;
  private readonly events: ConnectionEventDatastore;
  private readonly clock: Clock;

  constructor({ states, events, clock }: Dependencies) {
    this.states = states;
    this.events = events;
    this.clock = clock;
  }

  async listDue(limit: number): Promise<Deletion[]> {
    const now = earliestNow(this.clock).getTime();
    const states = await this.states.listExpired(new Date(now - STATE_RETENTION_MS), limit);
    const events = await this.events.listBefore(new Date(now - EVENT_RETENTION_MS), limit);
    const deletions: Deletion[] = [];
    if (states.length > 0) deletions.push(() => this.states.delete(states));
    if (events.length > 0) deletions.push(() => this.events.delete(events));
    return deletions;
  }

  /** Two workers may delete the same rows: no claim is needed. */
  async claim(deletion: Deletion): Promise<Deletion> {
    return deletion;
  }

  async run(deletion: Deletion): Promise<JobOutcome> {
    await deletion();
    return 'skipped';
  }
}
