import { setTimeout as delay } from 'node:timers/promises';
import type { Outcome, Scene } from '../fault.ts';
import { REALM, type Stage } from '../stage.ts';
import { type Answer, call, callAtOnce, only, tally, until } from '../traffic.ts';

const OTHER_REALM = '9341452000000002';

/** The connection changes hands in mid-refresh: Intuit has rotated, and answers 4 s later. */
export const life: Scene[] = [
  {
    faults: [
      {
        name: 'disconnected in mid-refresh',
        must: 'nothing is resurrected; the token that came back for nobody is revoked',
        run: disconnected,
      },
      {
        name: 'connected again in mid-refresh, same company',
        must: 'the new connection stays and serves; nothing of this company is revoked',
        run: connectedAgain,
      },
      {
        name: 'connected again in mid-refresh, another company',
        must: 'the new connection stays and serves; the old company’s returned token is revoked',
        run: connectedElsewhere,
      },
      {
        name: 'one callback comes ten times at once on two processes',
        must: 'one exchange; one is led to the frontend, nine are told 400; the connection serves',
        run: duplicateCallback,
      },
    ],
  },
];

async function disconnected(stage: Stage): Promise<Outcome> {
  const waiting = await inMidRefresh(stage);
  const status = await stage.disconnect();
  const answers = await waiting();
  const later = await callAtOnce([stage.a, stage.b], 10);
  const [row, { connected, reason }] = [await stage.row(), await stage.status()];
  const revoked = stage.simulator.grantFor(REALM)?.revoked === true;
  return {
    happened: `disconnect ${status}; callers ${tally(answers)}, then ${tally(later)}; row ${row.deactivation_reason}; grant ${revoked ? 'revoked' : 'still alive'}`,
    checks: {
      'all are told that there is no connection': only([...answers, ...later], 404),
      'the row stays disconnected, without tokens': row.is_active === 0 && row.refresh_token === '',
      'status says not connected, and not lost': !connected && reason === null,
      'the grant is revoked': revoked,
    },
  };
}

async function connectedAgain(stage: Stage): Promise<Outcome> {
  const waiting = await inMidRefresh(stage);
  await stage.connect('org', REALM, stage.b);
  const answers = await waiting();
  const later = await callAtOnce([stage.a, stage.b], 10);
  const revocations = stage.simulator.callsTo('revoke').length;
  const { generation, is_active } = await stage.row();
  return {
    happened: `callers ${tally(answers)}, then ${tally(later)}; revocations: ${revocations}`,
    checks: {
      'all are served': only([...answers, ...later], 200),
      'the new connection is as it was made': is_active === 1 && generation === 0,
      'nothing is revoked': revocations === 0,
    },
  };
}

async function connectedElsewhere(stage: Stage): Promise<Outcome> {
  const waiting = await inMidRefresh(stage);
  await stage.connect('org', OTHER_REALM, stage.b);
  const answers = await waiting();
  const later = await callAtOnce([stage.a, stage.b], 10);
  await until(() => stage.simulator.grantFor(REALM)?.revoked === true, 2);
  const [oldOne, newOne] = [REALM, OTHER_REALM].map((realm) => stage.simulator.grantFor(realm));
  const { realm_id, generation } = await stage.row();
  return {
    happened: `callers ${tally(answers)}, then ${tally(later)}; old grant ${oldOne?.revoked ? 'revoked' : 'still alive'}, new one ${newOne?.revoked ? 'revoked' : 'alive'}`,
    checks: {
      'all are served': only([...answers, ...later], 200),
      'by the new connection': realm_id === OTHER_REALM && generation === 0,
      'the old grant is revoked, the new one is not': oldOne?.revoked === true && newOne?.revoked === false,
    },
  };
}

async function duplicateCallback(stage: Stage): Promise<Outcome> {
  const { path, cookie } = await stage.consent();
  const statuses = await Promise.all(
    Array.from({ length: 10 }, async (_, index) => {
      const { origin } = index % 2 ? stage.a : stage.b;
      return (await fetch(origin + path, { headers: { cookie }, redirect: 'manual' })).status;
    }),
  );
  const exchanges = stage.simulator.callsTo('token').length;
  const { status } = await call(stage.a);
  const count = (one: number) => statuses.filter((other) => other === one).length;
  return {
    happened: `302 × ${count(302)}, 400 × ${count(400)}; token calls: ${exchanges}; gateway ${status}`,
    checks: {
      'one 302 and nine 400': count(302) === 1 && count(400) === 9,
      'one exchange': exchanges === 1,
      'the connection serves': status === 200,
    },
  };
}

/** Resolves when Intuit has rotated the token and keeps its answer back. Call the result for the callers' answers. */
async function inMidRefresh(stage: Stage): Promise<() => Promise<Answer[]>> {
  await stage.connectExpired();
  stage.simulator.fail({ on: 'token', grantType: 'refresh_token', kind: 'slow_after', delayMs: 4_000 });
  const waiting = callAtOnce([stage.a, stage.b], 10);
  await until(() => stage.tokenCalls === 1, 5);
  await delay(200);
  return () => waiting;
}
