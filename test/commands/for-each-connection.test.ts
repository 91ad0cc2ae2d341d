import { beforeEach, describe, expect, it } from '@jest/globals';
import { forEachConnection, type WorkOutcome } from '../../src/commands/connections/for-each-connection.ts';
import { ConnectionListDatastore } from '../../src/datastores/connection-list-datastore.ts';
import type { Connection } from '../../src/models/connection.ts';
import { createSqlite } from '../support/databases.ts';
import { DAYS, useHarness } from '../support/harness.ts';
import { rowOf } from '../support/rows.ts';

const COUNT = 5;

describe('work on each connection', () => {
  const harness = useHarness(createSqlite, { isolated: true });
  let interruption: AbortController;
  /** The companies that were worked on. */
  let worked: string[];
  beforeEach(async () => {
    interruption = new AbortController();
    worked = [];
    const expiresAt = new Date(Date.now() + DAYS);
    for (let realm = 1; realm <= COUNT; realm += 1) {
      const changes = { organization_id: `org-${realm}`, realm_id: String(realm), refresh_token_expires_at: expiresAt };
      await harness.knex('oauth_tokens').insert(rowOf(changes));
    }
  });

  it('pauses after each call to the provider, and only then', async () => {
    const { pauses } = await run(async ({ realmId }) => (realmId === '2' ? 'skipped' : 'done'));
    expect(worked).toEqual(['1', '2', '3', '4', '5']);
    expect(pauses).toEqual([300, 300, 300]); // after 1, 3 and 4
  });

  it('works on no further connection if it is interrupted in a pause', async () => {
    const { pauses, total } = await run(
      async () => 'done',
      () => interruption.abort(),
    );
    expect([worked, pauses, total]).toEqual([['1'], [300], COUNT]);
  });

  it('works on no further connection if it is interrupted during a call', async () => {
    await run(async ({ realmId }) => {
      if (realmId === '2') interruption.abort();
      return 'done';
    });
    expect(worked).toEqual(['1', '2']);
  });

  it('stops once calls for three companies have failed, with none that succeeded between them', async () => {
    await run(async ({ realmId }) => (realmId === '3' ? 'done' : 'provider_down'));
    expect(worked).toEqual(['1', '2', '3', '4', '5']);
    worked = [];
    const { total } = await run(async () => 'provider_down');
    expect([worked, total]).toEqual([['1', '2', '3'], COUNT]);
  });

  it('reports a connection that it cannot work on, and goes on', async () => {
    const { faulty } = await run(async ({ realmId }) => {
      if (realmId === '2') throw new TypeError('of the test');
      return 'skipped';
    });
    expect(worked).toEqual(['1', '2', '3', '4', '5']);
    expect(faulty).toEqual([expect.stringMatching(/^org-2 \(.+\)$/)]);
  });

  /** Also returns how long each pause was, in milliseconds. None takes any time. */
  async function run(work: (connection: Connection) => Promise<WorkOutcome>, onPause = () => {}) {
    const pauses: number[] = [];
    const clock = {
      sleep: async (milliseconds: number) => {
        pauses.push(milliseconds);
        onPause();
      },
    };
    const { session } = harness.home;
    const connectionList = new ConnectionListDatastore({ session, clock: harness.clock });
    const services = { connectionList, clock, interrupted: interruption.signal };
    const result = await forEachConnection(services, { system: 'quickbooks', state: 'active' }, (connection) => {
      worked.push(connection.realmId);
      return work(connection);
    });
    expect(result.done).toBe(worked.length);
    return { ...result, pauses };
  }
});
