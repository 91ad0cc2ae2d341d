import { describe, expect, it } from '@jest/globals';
import { openNaive } from './naive.ts';
import { runSimulation } from './run.ts';
import type { Targets } from './schedule.ts';
import { openService } from './service.ts';
import type { Mistake } from './simulated-strategy.ts';
import { isAvoidable } from './totals.ts';
import { DAY, HOUR, SECOND } from './virtual-time.ts';

const SIZE = { seed: 1, connections: 1, days: 8, replicas: 2, faultRate: 1, jobIntervalMs: HOUR };

/** The refresh of the second day meets a fault while callers of both processes wait for it; later days show what is left. */
function faultOnSecondDay(arm: (targets: Targets) => void) {
  return (_size: unknown, targets: Targets) => {
    const { time, customers } = targets;
    const [customer] = customers;
    const requests = () => customer?.sendRequests(20);
    time.after(HOUR, () => customer?.connect());
    time.after(2 * DAY, () => arm(targets));
    for (const seconds of [1, 18, 25, 45]) time.after(2 * DAY + seconds * SECOND, requests);
    for (let day = 3; day < 8; day += 1) time.after(day * DAY, requests);
  };
}

const pausedBeforeSave = faultOnSecondDay(({ faults }) =>
  faults.armRefreshFault({ kind: 'pause_before_save', durationMs: 12 * SECOND }),
);
const pausedBeforeCall = faultOnSecondDay(({ faults }) =>
  faults.armRefreshFault({ kind: 'pause_before_call', durationMs: 40 * SECOND }),
);
const pausedForLong = faultOnSecondDay(({ faults }) =>
  faults.armRefreshFault({ kind: 'pause_before_save', durationMs: 40 * SECOND }),
);

async function lossesOf(schedule: typeof pausedBeforeSave, mistake?: Mistake) {
  return (await runSimulation(SIZE, false, (environment) => openService(environment, mistake), schedule)).losses;
}

describe('the simulation', () => {
  it('finds no loss if a response is read after a pause that is longer than the timeout', async () => {
    expect(await lossesOf(pausedBeforeSave)).toEqual([]);
  });

  it('reports an avoidable loss if an unread response is discarded after the same pause', async () => {
    const losses = await lossesOf(pausedBeforeSave, 'discards unread responses');
    expect(losses.filter(isAvoidable)).toHaveLength(1);
  });

  it('finds no loss if a process that was paused before its call notices that it is too late', async () => {
    expect(await lossesOf(pausedBeforeCall)).toEqual([]);
  });

  it('reports an avoidable loss if the paused process sends its token all the same', async () => {
    const losses = await lossesOf(pausedBeforeCall, 'sends after its lease');
    expect(losses.filter(isAvoidable)).toHaveLength(1);
  });

  it('attributes a loss to a pause that outlasts the lease', async () => {
    const losses = await lossesOf(pausedForLong);
    expect(losses.map(({ classification }) => classification.cause)).toEqual([
      'process paused for longer than the lease before the save',
    ]);
  });

  it('reports avoidable losses of the naive implementation with the same events', async () => {
    const { losses } = await runSimulation(SIZE, false, openNaive, pausedBeforeSave);
    expect(losses.some(isAvoidable)).toBe(true);
  });
});
