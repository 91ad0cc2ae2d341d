import type { Outcome, Scene } from '../fault.ts';
import { REALM, type Stage } from '../stage.ts';
import { callAtOnce, longest, only, seconds, tally } from '../traffic.ts';

const MUST = 'at most two token calls in all; all are told 409; status says authorization_revoked';

/** The person disconnected the app inside QuickBooks, and forty callers come at once on two processes. */
export const refusals: Scene[] = [
  {
    faults: [
      {
        name: 'grant revoked, access token expired, 40 callers',
        must: MUST,
        run: async (stage) => {
          await stage.connectExpired();
          return toldRevoked(stage);
        },
      },
      {
        name: 'grant revoked, access token seemingly fresh, 40 callers',
        must: MUST,
        run: async (stage) => {
          await stage.connect();
          return toldRevoked(stage);
        },
      },
    ],
  },
];

async function toldRevoked(stage: Stage): Promise<Outcome> {
  stage.simulator.revokeGrant(REALM);
  const answers = await callAtOnce([stage.a, stage.b], 40);
  const later = await callAtOnce([stage.a, stage.b], 40);
  const { connected, reason } = await stage.status();
  return {
    happened: `${tally(answers)}, then ${tally(later)}; token calls in all: ${stage.tokenCalls}; longest wait ${seconds(longest(answers))}; status: ${reason}`,
    checks: {
      'all are told 409': only([...answers, ...later], 409),
      'two token calls at most': stage.tokenCalls <= 2,
      'status says authorization_revoked': !connected && reason === 'authorization_revoked',
    },
  };
}
