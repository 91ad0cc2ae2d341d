import type { Outcome, Scene } from '../fault.ts';
import { REALM, type Stage } from '../stage.ts';
import { call, callAtOnce, longest, only, seconds, Traffic, tally } from '../traffic.ts';

const TIMEOUT_MS = 10_000;
const END_S = 60;
const TOO_LATE_MS = 20_000;
const SERVED = 'nobody waits longer than twice the time limit; served again within 60 s';

/** Intuit's answer takes longer than the service waits for it. */
export const providerSlow: Scene[] = [
  {
    faults: [
      {
        name: 'Intuit never answers a refresh',
        must: SERVED,
        run: async (stage) => {
          await stage.connectExpired();
          stage.simulator.fail({ on: 'token', grantType: 'refresh_token', kind: 'hang' });
          return servedAgain(stage);
        },
      },
    ],
  },
  {
    on: { intuit: { rotationGrace: true } },
    faults: [
      {
        name: 'Intuit rotates, and answers too late; it takes the old token for a while',
        must: SERVED,
        run: async (stage) => {
          await answerTooLate(stage);
          return servedAgain(stage);
        },
      },
    ],
  },
  {
    faults: [
      {
        name: 'Intuit rotates, and answers too late; it takes no old token',
        must: 'nobody waits longer than twice the time limit; told lost (rotation_lost) within 60 s',
        run: async (stage) => {
          await answerTooLate(stage);
          return toldLost(stage);
        },
      },
    ],
  },
  {
    on: { timeoutMs: 4_000 },
    faults: [
      {
        name: 'every answer of Intuit takes 3 s of the 4 it may, and the API refuses a token that looks fresh',
        must: 'nobody waits longer than twice the time limit: 8 s',
        run: slowEverywhere,
      },
    ],
  },
];

async function answerTooLate(stage: Stage): Promise<void> {
  await stage.connectExpired();
  stage.simulator.fail({ on: 'token', grantType: 'refresh_token', kind: 'slow_after', delayMs: TOO_LATE_MS });
}

async function servedAgain(stage: Stage): Promise<Outcome> {
  const traffic = new Traffic([stage.a, stage.b]);
  await traffic.until(() => Number.isFinite(traffic.first(200)), END_S);
  const answers = await traffic.stop();
  const later = await callAtOnce([stage.a, stage.b], 20);
  return {
    happened: `${tally(answers)}; token calls: ${stage.tokenCalls}; longest wait ${seconds(longest(answers))}; served after ${seconds(traffic.first(200))}`,
    checks: {
      'nobody waits longer than 20 s': longest(answers) <= 2 * TIMEOUT_MS,
      'served within 60 s': traffic.first(200) <= END_S * 1000,
      'nobody is told anything but 503 and 200': only(answers, 503, 200),
      'all are served afterwards': only(later, 200),
      'two token calls': stage.tokenCalls === 2,
    },
  };
}

async function toldLost(stage: Stage): Promise<Outcome> {
  const traffic = new Traffic([stage.a, stage.b]);
  await traffic.until(() => Number.isFinite(traffic.first(409)), END_S);
  const answers = await traffic.stop();
  const { connected, reason } = await stage.status();
  const later = await callAtOnce([stage.a, stage.b], 20);
  return {
    happened: `${tally(answers)}; token calls: ${stage.tokenCalls}; longest wait ${seconds(longest(answers))}; told ${reason} after ${seconds(traffic.first(409))}`,
    checks: {
      'nobody waits longer than 20 s': longest(answers) <= 2 * TIMEOUT_MS,
      'told within 60 s': traffic.first(409) <= END_S * 1000,
      'status says rotation_lost': !connected && reason === 'rotation_lost',
      'nobody is told anything but 503 and 409': only(answers, 503, 409) && only(later, 409),
      'two token calls': stage.tokenCalls === 2,
    },
  };
}

async function slowEverywhere(stage: Stage): Promise<Outcome> {
  await stage.connect();
  stage.simulator.expireAccessTokens(REALM);
  for (const on of ['api', 'token'] as const) stage.simulator.fail({ on, kind: 'slow', delayMs: 3_000, times: null });
  const answers = await callAtOnce([stage.a, stage.b], 10);
  stage.simulator.clearFaults();
  const after = await call(stage.a);
  return {
    happened: `${tally(answers)}; longest wait ${seconds(longest(answers))}; token calls: ${stage.tokenCalls}; afterwards ${after.status}`,
    checks: {
      'nobody waits longer than 8 s': longest(answers) <= 8_000 + 300,
      'served, or told to come again': only(answers, 200, 503),
      'one token call': stage.tokenCalls === 1,
      'served afterwards': after.status === 200,
    },
  };
}
