import { setTimeout as delay } from 'node:timers/promises';
import type { Outcome, Scene } from '../fault.ts';
import { REALM, type Stage } from '../stage.ts';
import { type Answer, call, callAtOnce, only, seconds, tally, until } from '../traffic.ts';

const STOP_MS = 15_000;
const MUST = 'the answer is waited for and saved; exit 0 within 15 s; the other process serves without a token call';

/** The process that refreshes is told to stop. Each ends a process, so that each needs a stage of its own. */
export const shutdown: Scene[] = [
  alone('SIGTERM in mid-refresh, callers waiting', MUST, (stage) => stopInMidRefresh(stage, -60, ['SIGTERM'])),
  alone('SIGTERM in mid-refresh, nobody waiting (4 minutes left)', MUST, (stage) =>
    stopInMidRefresh(stage, 240, ['SIGTERM']),
  ),
  alone('SIGTERM twice in mid-refresh', MUST, (stage) => stopInMidRefresh(stage, -60, ['SIGTERM', 'SIGTERM'])),
  alone(
    'SIGTERM, and 6 s later the API refuses the token of a call on the way: a refresh could not end in time',
    'nothing is rotated that cannot be saved any more; exit 0 within 15 s; the other process serves',
    stopBeforeRefresh,
  ),
];

function alone(name: string, must: string, run: (stage: Stage) => Promise<Outcome>): Scene {
  return { faults: [{ name, must, run }] };
}

async function stopInMidRefresh(stage: Stage, secondsLeft: number, signals: NodeJS.Signals[]): Promise<Outcome> {
  await stage.connect();
  await stage.leave(secondsLeft);
  answerSlowly(stage, 4_000);
  const waiting = callAtOnce([stage.a], 5);
  await until(() => stage.tokenCalls === 1, 5);
  await delay(1_000); // the other callers are in by then
  const began = performance.now();
  for (const signal of signals) {
    void stage.a.kill(signal);
    await delay(500);
  }
  const code = await stage.a.ended;
  const took = performance.now() - began;
  const answers = await waiting;
  const { generation } = await stage.row();
  const later = await callAtOnce([stage.b], 10);
  return {
    happened: `exit ${code} after ${seconds(took)}; callers ${tally(answers)}; ${generation === 1 ? 'saved' : 'not saved'}; token calls: ${stage.tokenCalls}; the other process: ${tally(later)}`,
    checks: {
      'exit 0': code === 0,
      'within 15 s': took <= STOP_MS,
      'those who waited are served': only(answers, 200),
      'the answer is saved': generation === 1,
      'the other process serves': only(later, 200),
      'one token call in all': stage.tokenCalls === 1,
    },
  };
}

async function stopBeforeRefresh(stage: Stage): Promise<Outcome> {
  await stage.connect();
  stage.simulator.expireAccessTokens(REALM);
  stage.simulator.resetCalls();
  stage.simulator.fail({ on: 'api', kind: 'slow', delayMs: 6_000 });
  answerSlowly(stage, 9_500);
  const waiting = callAtOnce([stage.a], 1);
  await until(() => stage.simulator.callsTo('api').length === 1, 5);
  const began = performance.now();
  const code = await stage.a.kill('SIGTERM');
  const took = performance.now() - began;
  const answers = await waiting;
  const { tokenCalls } = stage;
  stage.simulator.clearFaults();
  const later = await untilServed(stage);
  return {
    happened: `exit ${code} after ${seconds(took)}; caller ${tally(answers)}; token calls of the process that stopped: ${tokenCalls}; the other process: ${tally(later)}`,
    checks: {
      'exit 0': code === 0,
      'within 15 s': took <= STOP_MS,
      'the other process serves': later.at(-1)?.status === 200,
    },
  };
}

/** Intuit rotates at once, and answers later. */
function answerSlowly(stage: Stage, delayMs: number): void {
  stage.simulator.fail({ on: 'token', grantType: 'refresh_token', kind: 'slow_after', delayMs });
}

/** Asks the other process until it serves, or says that the connection is lost. */
async function untilServed(stage: Stage): Promise<Answer[]> {
  const answers = [await call(stage.b)];
  while (answers.at(-1)?.status === 503) {
    await delay(500);
    answers.push(await call(stage.b));
  }
  return answers;
}
