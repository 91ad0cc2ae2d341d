import type { Clock } from './clock.ts';

/** Input that arrived during a pause of the process is read in at most so many iterations of the event loop. */
const TURNS = 50;

/**
 * To be awaited at a timeout, before it takes effect: after a pause of the whole process, timers fire before a response that
 * arrived in time is read from its socket. @param hasArrived ends the wait early
 */
export async function waitForInput(clock: Clock, hasArrived: () => boolean): Promise<void> {
  for (let turn = 0; turn < TURNS && !hasArrived(); turn += 1) await clock.nextTurn();
}
