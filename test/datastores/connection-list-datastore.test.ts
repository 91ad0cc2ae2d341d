import { expect, it } from '@jest/globals';
import type { Knex } from 'knex';
import { ConnectionListDatastore, type ConnectionListQuery } from '../../src/datastores/connection-list-datastore.ts';
import { Session } from '../../src/db/session.ts';
import type { OrganizationId, RealmId } from '../../src/models/connection.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { DAYS, useHarness } from '../support/harness.ts';
import { rowOf } from '../support/rows.ts';

const FEW = 6_000;
const FACTOR = 4;
const AFTER = 'org-3' as OrganizationId;
const REALM = '1' as RealmId;
/** A company and one of the last two states: all connections of the company are read, which are few. */
const PAGES: Partial<ConnectionListQuery>[] = [
  ...([undefined, 'active', 'lost', 'refresh_failing', 'expiring'] as const).flatMap((state) => [
    { state },
    { state, after: AFTER },
  ]),
  ...([undefined, 'active', 'lost'] as const).map((state) => ({ state, realmId: REALM })),
];

describeEachDatabase('a page of the list of connections', (createDatabase, kind) => {
  const harness = useHarness(createDatabase, { frozen: true });

  it('reads as many rows with few connections as with four times as many', async () => {
    await fill();
    const readFromFew = await readByPages();
    for (const [page, read] of Object.entries(readFromFew)) expect([page, read < FEW]).toEqual([page, true]);
    for (let copies = 1; copies < FACTOR; copies += 1) await copy(copies);
    expect(await readByPages()).toEqual(readFromFew);
  });

  /** What each page reads: rows on a server, and on SQLite the ways in which it reads them. */
  async function readByPages(): Promise<Record<string, number>> {
    if (kind !== 'SQLite') await harness.knex.raw('ANALYZE TABLE oauth_tokens');
    const read: Record<string, number> = {};
    for (const page of PAGES) read[JSON.stringify(page)] = await readBy(page);
    return read;
  }

  async function readBy(page: Partial<ConnectionListQuery>): Promise<number> {
    return harness.knex.transaction(async (trx) => {
      const { dialect } = harness.home.session;
      const session = new Session({ knex: trx, dialect, clock: harness.clock });
      const list = new ConnectionListDatastore({ session, clock: harness.clock });
      const query = { system: 'quickbooks', limit: 50, ...page };
      if (kind === 'SQLite') return scansOf(trx, () => list.listPage(query));
      const before = await rowsRead(trx);
      expect(await list.listPage(query)).toHaveLength(50);
      return (await rowsRead(trx)) - before;
    });
  }

  /** Active, lost and disconnected connections, in every state, over two months of ends of authorizations. */
  async function fill(): Promise<void> {
    const now = harness.clock.now().getTime();
    for (let from = 0; from < FEW; from += 500) {
      const rows = Array.from({ length: 500 }, (_, at) => {
        const number = from + at;
        const isActive = number % 3 > 0;
        return rowOf({
          organization_id: `org-${number}`,
          realm_id: String(number % 2),
          is_active: isActive ? 1 : 0,
          ...(isActive ? {} : { deactivation_reason: number % 2 ? 'authorization_revoked' : 'disconnected' }),
          is_refresh_failing: number % 5 === 0 ? 1 : 0,
          authorization_expires_at: new Date(now + (Math.floor(number / 6) % 40) * DAYS),
        });
      });
      await harness.knex('oauth_tokens').insert(rows);
    }
  }

  /** As many connections again, whose organizations come after the others. */
  async function copy(number: number): Promise<void> {
    const columns =
      'accounting_system, realm_id, access_token, refresh_token, access_token_expires_at, refresh_token_expires_at, authorization_expires_at, is_active, deactivation_reason, is_refresh_failing, created_at, updated_at';
    const [id, organization] =
      kind === 'SQLite'
        ? ['lower(hex(randomblob(18)))', `'z${number}-' || organization_id`]
        : ['UUID()', `CONCAT('z${number}-', organization_id)`];
    await harness.knex.raw(
      `INSERT INTO oauth_tokens (token_id, organization_id, ${columns})
       SELECT ${id}, ${organization}, ${columns} FROM oauth_tokens WHERE organization_id LIKE 'org-%'`,
    );
  }
});

/** Rows that this connection to the server has read. */
async function rowsRead(trx: Knex): Promise<number> {
  const [rows] = await trx.raw("SHOW SESSION STATUS LIKE 'Handler_read%'");
  return rows.reduce((sum: number, { Value }: { Value: string }) => sum + Number(Value), 0);
}

/** How many steps of the query's plan read the table other than through all columns of an index of the list. */
async function scansOf(trx: Knex, list: () => Promise<unknown>): Promise<number> {
  const queries: { sql: string; bindings: readonly Knex.RawBinding[] }[] = [];
  trx.on('query', (query) => queries.push(query));
  await list();
  const [{ sql = '', bindings = [] } = {}] = queries;
  const steps: { detail: string }[] = await trx.raw(`EXPLAIN QUERY PLAN ${sql}`, [...bindings]);
  const reads = steps.filter(({ detail }) => / oauth_tokens /.test(detail));
  expect(reads.length).toBeGreaterThan(1);
  return reads.filter(({ detail }) => !/SEARCH .* USING INDEX (oauth_tokens_list_\w+|\w+ \(token_id)/.test(detail))
    .length;
}
