import type { Outcome, Scene } from '../fault.ts';
import { REALM, type Stage } from '../stage.ts';
import { call, callAtOnce, longest, only, seconds, Traffic, tally, until } from '../traffic.ts';

const END_S = 60;
const LONGEST_WAIT_MS = 20_000;
const SERVED = 'the other process serves within 60 s; nobody waits longer than twice the time limit';

/** The process that refreshes is killed in the middle of it, while callers ask the other one. */
export const crashes: Scene[] = [
  {
    faults: [
      {
        name: 'kill -9 of the refreshing process before Intuit rotated',
        must: SERVED,
        run: async (stage) => servedAgain(stage, await killInMidRefresh(stage, 'hang')),
      },
    ],
  },
  {
    on: { intuit: { rotationGrace: true } },
    faults: [
      {
        name: 'kill -9 after Intuit rotated; it takes the old token for a while',
        must: SERVED,
        run: async (stage) => servedAgain(stage, await killInMidRefresh(stage, 'hang_after')),
      },
    ],
  },
  {
    faults: [
      {
        name: 'kill -9 after Intuit rotated; it takes no old token',
        must: 'told lost (rotation_lost) within 60 s; connected again, served again',
        run: async (stage) => toldLost(stage, await killInMidRefresh(stage, 'hang_after')),
      },
    ],
  },
  {
    on: { timeoutMs: 2_000 },
    faults: [
      {
        name: 'kill -9 of the refreshing process while the old token has 4 minutes left',
        must: 'everybody is served all the time, and the token is renewed within 60 s',
        run: servedThroughout,
      },
    ],
  },
];

/** Lets A begin a refresh, kills it there, and sends callers to B. */
async function killInMidRefresh(stage: Stage, kind: 'hang' | 'hang_after'): Promise<Traffic> {
  await stage.connectExpired();
  stage.simulator.fail({ on: 'token', grantType: 'refresh_token', kind });
  const victims = callAtOnce([stage.a], 5);
  await until(() => stage.tokenCalls === 1, 5);
  await stage.a.kill('SIGKILL');
  await victims;
  return new Traffic([stage.b]);
}

async function servedAgain(stage: Stage, traffic: Traffic): Promise<Outcome> {
  await traffic.until(() => Number.isFinite(traffic.first(200)), END_S);
  const answers = await traffic.stop();
  const later = await callAtOnce([stage.b], 20);
  return {
    happened: `${tally(answers)}; token calls: ${stage.tokenCalls}; longest wait ${seconds(longest(answers))}; served after ${seconds(traffic.first(200))}`,
    checks: {
      'served within 60 s': traffic.first(200) <= END_S * 1000,
      'nobody waits longer than 20 s': longest(answers) <= LONGEST_WAIT_MS,
      'nobody is told anything but 503 and 200': only(answers, 503, 200),
      'all are served afterwards': only(later, 200),
      'two token calls': stage.tokenCalls === 2,
    },
  };
}

async function toldLost(stage: Stage, traffic: Traffic): Promise<Outcome> {
  await traffic.until(() => Number.isFinite(traffic.first(409)), END_S);
  const answers = await traffic.stop();
  const { connected, reason } = await stage.status();
  const { tokenCalls } = stage;
  await stage.connect('org', REALM, stage.b);
  const again = await call(stage.b);
  return {
    happened: `${tally(answers)}; token calls: ${tokenCalls}; told ${reason} after ${seconds(traffic.first(409))}; connected again: ${again.status}`,
    checks: {
      'told within 60 s': traffic.first(409) <= END_S * 1000,
      'status says rotation_lost': !connected && reason === 'rotation_lost',
      'nobody is told anything but 503 and 409': only(answers, 503, 409),
      'nobody waits longer than 20 s': longest(answers) <= LONGEST_WAIT_MS,
      'two token calls': tokenCalls === 2,
      'served after connecting again': again.status === 200,
    },
  };
}

async function servedThroughout(stage: Stage): Promise<Outcome> {
  await stage.connect();
  await stage.leave(240);
  stage.simulator.fail({ on: 'token', grantType: 'refresh_token', kind: 'hang' });
  await call(stage.a);
  await until(() => stage.tokenCalls === 1, 5);
  await stage.a.kill('SIGKILL');
  const traffic = new Traffic([stage.b]);
  await traffic.until(() => stage.tokenCalls === 2, END_S);
  const renewed = performance.now() - traffic.began;
  const answers = await traffic.stop();
  const { generation } = await stage.row();
  return {
    happened: `${tally(answers)}; token calls: ${stage.tokenCalls}; renewed after ${seconds(renewed)}`,
    checks: {
      'everybody is served': only(answers, 200),
      'renewed within 60 s': generation === 1 && renewed <= END_S * 1000,
    },
  };
}
