import { setTimeout as delay } from 'node:timers/promises';
import type { OAuthTokenRow } from '../../../src/db/tables.ts';
import type { Fault, Outcome, Scene } from '../fault.ts';
import type { Stage } from '../stage.ts';
import { type Answer, callAtOnce, longest, only, seconds, Traffic, tally } from '../traffic.ts';

const DOWN_MS = 10_000;
const FEW = 5;
const BACK_MS = 8_000;

/** The access token has expired, and Intuit is of no use for a while; twenty callers go on asking. */
export const providerDown: Scene[] = [
  {
    faults: [
      outage('Intuit answers 503 for ten seconds', async ({ simulator }) =>
        simulator.fail({ on: 'token', kind: 'status', status: 503, times: null }),
      ),
      outage('Intuit refuses connections for ten seconds', async ({ relay }) => relay.refuse()),
      outage('Intuit resets connections for ten seconds', async ({ relay }) => relay.reset()),
    ],
  },
  {
    faults: [
      {
        name: 'Intuit answers 429 with Retry-After: 9',
        must: 'no other token call for 9 s, whoever asks; callers are told the seconds that are left; then served',
        run: throttled,
      },
      {
        name: 'Intuit answers invalid_client for five seconds',
        must: '502, the row as it was, at most one token call in two seconds of each process; served within 3 s after it',
        run: misconfigured,
      },
    ],
  },
];

function outage(name: string, begin: (stage: Stage) => Promise<void>): Fault {
  const must =
    'at most 5 tries in the ten seconds, 503 with Retry-After, nothing deactivated; served within 8 s of its return';
  return { name, must, run: (stage) => playOutage(stage, begin) };
}

async function playOutage(stage: Stage, begin: (stage: Stage) => Promise<void>): Promise<Outcome> {
  await stage.connectExpired();
  await begin(stage);
  const traffic = new Traffic([stage.a, stage.b], { each: 10 });
  await delay(DOWN_MS);
  const during = [...traffic.answers];
  const { is_active } = await stage.row();
  const tries = stage.failedRefreshes;
  const calls = stage.tokenCalls;
  stage.simulator.clearFaults();
  await stage.relay.pass();
  const back = performance.now();
  await traffic.until(() => Number.isFinite(traffic.first(200, back)), 30);
  await traffic.stop();
  const later = await callAtOnce([stage.a, stage.b], 20);
  return {
    happened: `${tally(during)}; tries: ${tries}; longest wait ${seconds(longest(during))}; served ${seconds(traffic.first(200, back))} after its return`,
    checks: {
      'five tries at most': tries >= 1 && tries <= FEW,
      'only 503, each with Retry-After in whole seconds': retryAfters(during).length === during.length,
      'nothing is deactivated': is_active === 1,
      'served within 8 s': traffic.first(200, back) <= BACK_MS,
      'one token call after its return': stage.tokenCalls === calls + 1,
      'all are served afterwards': only(later, 200),
    },
  };
}

async function throttled(stage: Stage): Promise<Outcome> {
  await stage.connectExpired();
  stage.simulator.fail({ on: 'token', kind: 'status', status: 429, retryAfter: 9 });
  const traffic = new Traffic([stage.a, stage.b], { each: 10 });
  await traffic.until(() => Number.isFinite(traffic.first(200)), 30);
  const answers = await traffic.stop();
  const [first = 0, second = 0] = stage.simulator.callsTo('token', 'refresh_token').map(({ at }) => at.getTime());
  const told = retryAfters(answers);
  return {
    happened: `${tally(answers)}; token calls: ${stage.tokenCalls}, ${seconds(second - first)} apart; Retry-After from ${Math.max(...told)} down to ${Math.min(...told)}; served after ${seconds(traffic.first(200))}`,
    checks: {
      'nine seconds between the calls': second - first >= 8_900,
      'two token calls': stage.tokenCalls === 2,
      'Retry-After counts from 9 down to 1': Math.max(...told) === 9 && Math.min(...told) === 1,
      'served within 8 s after it': traffic.first(200) <= 9_000 + BACK_MS,
      'nobody is told anything but 503 and 200': only(answers, 503, 200),
    },
  };
}

async function misconfigured(stage: Stage): Promise<Outcome> {
  await stage.connectExpired();
  const before = await stage.row();
  stage.simulator.fail({ on: 'token', kind: 'invalid_client', times: null });
  const traffic = new Traffic([stage.a, stage.b], { each: 10 });
  await delay(5_000);
  const during = [...traffic.answers];
  const [calls, untouched] = [stage.tokenCalls, isUntouched(before, await stage.row())];
  stage.simulator.clearFaults();
  const back = performance.now();
  await traffic.until(() => Number.isFinite(traffic.first(200, back)), 20);
  await traffic.stop();
  return {
    happened: `${tally(during)}; token calls: ${calls}; row ${untouched ? 'as it was' : 'changed'}; served ${seconds(traffic.first(200, back))} after it`,
    checks: {
      'only 502': only(during, 502),
      'six token calls at most': calls <= 6,
      'the row is as it was': untouched,
      'served within 3 s': traffic.first(200, back) <= 3_000,
    },
  };
}

/** True where nothing differs but what every try leaves: its lease, and when the row was written. */
function isUntouched(before: OAuthTokenRow, after: OAuthTokenRow): boolean {
  const passing = { updated_at: 0, refresh_lease_owner: 0, refresh_lease_expires_at: 0, refresh_started_at: 0 };
  return JSON.stringify({ ...before, ...passing }) === JSON.stringify({ ...after, ...passing });
}

/** The `Retry-After` of each 503, in whole seconds. */
function retryAfters(answers: Answer[]): number[] {
  const kept = answers.filter(({ status, retryAfter }) => status === 503 && /^[1-9]\d*$/.test(retryAfter ?? ''));
  return kept.map(({ retryAfter }) => Number(retryAfter));
}
