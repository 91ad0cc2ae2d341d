import { setTimeout as delay } from 'node:timers/promises';
import type { Fault as IntuitFault } from '../../../dev/intuit-simulator/faults.ts';
import type { Fault, Outcome, Scene } from '../fault.ts';
import type { Stage } from '../stage.ts';
import { callAtOnce, longest, only, Traffic, tally } from '../traffic.ts';

const LONGEST_MS = 200;
const SHOWN_MS = 3_000;
const MUST = 'everybody is served, and nobody waits longer than 200 ms';

const slow: IntuitFault = { on: 'token', kind: 'hang', times: null };
const down: IntuitFault = { on: 'token', kind: 'status', status: 503, times: null };

/** The access token still works, and it is time to renew it, but Intuit's token endpoint is of no help. */
export const validToken: Scene[] = [
  {
    alone: true,
    faults: [
      fault('4 minutes left, token endpoint hangs', 240, slow),
      fault('4 minutes left, token endpoint answers 503', 240, down),
      fault('20 seconds left, token endpoint hangs', 20, slow),
      fault('20 seconds left, token endpoint answers 503', 20, down),
    ],
  },
];

function fault(name: string, secondsLeft: number, fault: IntuitFault): Fault {
  return { name, must: MUST, run: (stage) => servedInTime(stage, secondsLeft, fault) };
}

async function servedInTime(stage: Stage, secondsLeft: number, fault: IntuitFault): Promise<Outcome> {
  await stage.connect();
  await callAtOnce([stage.a, stage.b], 20); // the first calls of a process open its connections
  await stage.leave(secondsLeft);
  stage.simulator.fail(fault);
  const traffic = new Traffic([stage.a, stage.b], { each: 3 });
  await delay(SHOWN_MS);
  const answers = await traffic.stop();
  return {
    happened: `${tally(answers)}; token calls: ${stage.tokenCalls}; longest wait ${Math.round(longest(answers))} ms`,
    checks: {
      'everybody is served': only(answers, 200),
      'nobody waits longer than 200 ms': longest(answers) <= LONGEST_MS,
      'a renewal was tried, and not too often': stage.tokenCalls >= 1 && stage.tokenCalls <= 3,
    },
  };
}
