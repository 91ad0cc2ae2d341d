import { setTimeout as delay } from 'node:timers/promises';
import type { Fault, Outcome, Scene } from '../fault.ts';
import type { OwnServer } from '../own-server.ts';
import type { Stage } from '../stage.ts';
import { call, longest, only, seconds, Traffic, tally, until } from '../traffic.ts';

/** The lease is 5 s longer. */
const TIMEOUT_MS = 4_000;
const SHORT_MS = 2_000;
const LONG_MS = 12_000;
/** Begun one after the other, so that their savings do not try again in step. */
const ORGANIZATIONS = Array.from({ length: 14 }, (_, index) => `org-${index}`);
const APART_MS = 150;
const BACK_MS = 8_000;
const MUST =
  'each answer is kept and saved: one token call for each connection, only 503 meanwhile, all served within 8 s of its return';

/** The database goes between the rotation and the save of 14 connections; callers of the other process hammer. */
export const databaseOutages: Scene[] = [
  {
    on: { timeoutMs: TIMEOUT_MS, ownServer: true },
    faults: [
      fault('database killed (-9) between rotation and save, back within the lease', 'SIGKILL', SHORT_MS),
      fault('database killed (-9) between rotation and save, back after the lease ran out', 'SIGKILL', LONG_MS),
    ],
  },
  {
    on: { timeoutMs: TIMEOUT_MS, ownServer: true },
    faults: [
      fault('database shut down between rotation and save, back after the lease ran out', 'SIGTERM', LONG_MS),
      fault('database frozen between rotation and save, back after the lease ran out', 'SIGSTOP', LONG_MS),
    ],
  },
];

function fault(name: string, signal: NodeJS.Signals, lasts: number): Fault {
  return { name, must: MUST, run: (stage) => outage(stage, stage.server as OwnServer, signal, lasts) };
}

async function outage(stage: Stage, server: OwnServer, signal: NodeJS.Signals, lasts: number): Promise<Outcome> {
  for (const [index, organization] of ORGANIZATIONS.entries())
    await stage.connectExpired(organization, `${1000 + index}`);
  const slow = { kind: 'slow_after', delayMs: 2_600, times: ORGANIZATIONS.length } as const;
  stage.simulator.fail({ on: 'token', grantType: 'refresh_token', ...slow });
  const waiting = ORGANIZATIONS.map(async (organization, index) => {
    await delay(index * APART_MS);
    return call(stage.a, organization);
  });
  await until(() => stage.tokenCalls === ORGANIZATIONS.length, 5);

  await server.stop(signal);
  const traffic = new Traffic([stage.b], { each: 2, pauseMs: 100, organizations: ORGANIZATIONS });
  await delay(lasts);
  await server.start();
  const back = performance.now();
  const served = (organization: string) =>
    traffic.answers.find((answer) => answer.organization === organization && answer.status === 200 && answer.at > back);
  await traffic.until(() => ORGANIZATIONS.every(served), 25);
  const answers = [...(await traffic.stop()), ...(await Promise.all(waiting))];
  const first = ORGANIZATIONS.map((organization) => (served(organization)?.at ?? Number.POSITIVE_INFINITY) - back);
  const { tokenCalls } = stage;

  for (const organization of ORGANIZATIONS) await stage.leave(-60, organization);
  const renewed = await Promise.all(ORGANIZATIONS.map((organization) => call(stage.b, organization)));
  return {
    happened: `(${server.kind}) ${tally(answers)}; token calls: ${tokenCalls}; all served ${seconds(Math.max(...first))} after its return; longest wait ${seconds(longest(answers))}; renewed once more: ${tally(renewed)}`,
    checks: {
      'one token call for each connection': tokenCalls === ORGANIZATIONS.length,
      'all served within 8 s': Math.max(...first) <= BACK_MS,
      'nobody is told anything but 503 and 200': only(answers, 503, 200),
      'the saved tokens can be renewed': only(renewed, 200),
    },
  };
}
