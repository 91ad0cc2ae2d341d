import { until } from '../../support/until.ts';
import { REALM, type TestEnvironment } from '../environment.ts';
import { countByStatus, haveStatus } from '../measurements.ts';
import type { Measurement, ScenarioGroup } from '../scenario.ts';
import { call, callConcurrently } from '../traffic.ts';

const OTHER_REALM = '9341452000000002';

/** The connection changes while it is refreshed: Intuit has rotated the token, and its response is on the way. */
export const concurrentChanges: ScenarioGroup[] = [
  {
    options: { timeoutMs: 20_000 },
    scenarios: [
      {
        name: 'disconnected during a refresh',
        expected: 'the connection stays disconnected; the grant is revoked',
        run: disconnect,
      },
      {
        name: 'connected again during a refresh, to the same company',
        expected: 'the new connection is served; nothing of this company is revoked',
        run: reconnect,
      },
      {
        name: 'connected again during a refresh, to another company',
        expected: "the new connection is served; the old company's grant is revoked",
        run: connectOtherCompany,
      },
      {
        name: 'one callback is sent ten times to two replicas',
        expected: 'one exchange, whose outcome every response returns; the connection is served',
        run: repeatCallback,
      },
    ],
  },
];

async function disconnect(environment: TestEnvironment): Promise<Measurement> {
  const { during, after } = await changeDuringRefresh(environment, async () => {
    await environment.disconnect();
  });
  const [row, { connected, reason }] = [await environment.row(), await environment.status()];
  await until(() => environment.simulator.grantFor(REALM)?.revoked);
  return {
    measured: `calls ${countByStatus(during)}, then ${countByStatus(after)}; row: ${row.deactivation_reason}; grant revoked`,
    checks: {
      'every call returns 404': haveStatus([...during, ...after], 404),
      'the row stays disconnected, without tokens': row.is_active === 0 && row.refresh_token === '',
      'the status is not connected, and not lost': !connected && reason === null,
    },
  };
}

async function reconnect(environment: TestEnvironment): Promise<Measurement> {
  const [, replica] = environment.replicas;
  const { during, after } = await changeDuringRefresh(environment, () => environment.connect({ replica }));
  const revocations = environment.simulator.callsTo('revoke').length;
  const { generation, is_active } = await environment.row();
  return {
    measured: `calls ${countByStatus(during)}, then ${countByStatus(after)}; revocations: ${revocations}`,
    checks: {
      'every call is served': haveStatus([...during, ...after], 200),
      'the new connection is unchanged': is_active === 1 && generation === 0,
      'nothing is revoked': revocations === 0,
    },
  };
}

async function connectOtherCompany(environment: TestEnvironment): Promise<Measurement> {
  const [, replica] = environment.replicas;
  const { during, after } = await changeDuringRefresh(environment, () =>
    environment.connect({ realmId: OTHER_REALM, replica }),
  );
  await until(() => environment.simulator.grantFor(REALM)?.revoked);
  const isNewRevoked = environment.simulator.grantFor(OTHER_REALM)?.revoked;
  const { realm_id, generation } = await environment.row();
  return {
    measured: `calls ${countByStatus(during)}, then ${countByStatus(after)}; old grant revoked, new grant ${isNewRevoked ? 'revoked' : 'active'}`,
    checks: {
      'every call is served': haveStatus([...during, ...after], 200),
      'by the new connection': realm_id === OTHER_REALM && generation === 0,
      'the new grant is not revoked': isNewRevoked === false,
    },
  };
}

async function repeatCallback(environment: TestEnvironment): Promise<Measurement> {
  const { replicas, simulator } = environment;
  const { path, cookie } = await environment.consent();
  const responses = await Promise.all(
    Array.from({ length: 10 }, async (_, index) => {
      const { origin } = index % 2 ? replicas[0] : replicas[1];
      return fetch(origin + path, { headers: { cookie }, redirect: 'manual' });
    }),
  );
  const connected = responses.filter(({ headers }) => headers.get('location')?.includes('connected=true')).length;
  const exchanges = simulator.callsTo('token').length;
  const { status } = await call(replicas[0]);
  return {
    measured: `redirects with connected=true: ${connected}; exchanges: ${exchanges}; gateway ${status}`,
    checks: {
      'every response is the redirect with connected=true': connected === responses.length,
      'one exchange': exchanges === 1,
      'the connection is served': status === 200,
    },
  };
}

/** Runs `change` while ten callers wait for a refresh. Returns their results, and those of ten later calls. */
async function changeDuringRefresh(environment: TestEnvironment, change: () => Promise<void>) {
  await environment.connectExpired();
  const releaseResponses = environment.relay.delayResponses('grant_type=refresh_token');
  const waiting = callConcurrently(environment.replicas, 10);
  await environment.untilTokenCalls(1);
  await change();
  releaseResponses();
  return { during: await waiting, after: await callConcurrently(environment.replicas, 10) };
}
