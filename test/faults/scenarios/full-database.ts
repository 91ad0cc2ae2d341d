import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Knex } from 'knex';
import type { ServiceProcess } from '../../support/processes.ts';
import { until } from '../../support/until.ts';
import type { TestEnvironment } from '../environment.ts';
import { countByStatus, haveStatus, seconds } from '../measurements.ts';
import type { Measurement, ScenarioGroup } from '../scenario.ts';
import { call } from '../traffic.ts';

const ORGANIZATIONS = Array.from({ length: 8 }, (_, index) => `org-${index}`);
const FULL_MS = 5_000;
const POLL_MS = 250;
/** In bytes: each finds room that the one before did not fit in. One row per statement, since a rollback would leave room. */
const FILLER_SIZES = [4_000, 500, 20];
/** A row of the service finds no room in any page once so many in a row found none. */
const REJECTED_ROWS = 100;
const FOREVER = new Date('2040-01-01T00:00:00.000Z');

/** A database server that can store no more, as when its disk is full. */
export const fullDatabase: ScenarioGroup[] = [
  {
    options: { hasDatabaseServer: true, databaseMebibytes: 20 },
    scenarios: [
      {
        name: 'the database is full, and has room again later',
        expected:
          '/readyz reports full; a valid token is served; the others are refreshed by one token call each, and served afterwards',
        run: fillDatabase,
      },
    ],
  },
];

async function fillDatabase(environment: TestEnvironment): Promise<Measurement> {
  const { knex, replicas } = environment;
  await environment.connect({ organization: 'valid', realmId: '999' });
  for (const [index, organization] of ORGANIZATIONS.entries()) {
    await environment.connectExpired({ organization, realmId: `${1000 + index}` });
  }
  await fill(knex);
  const filledAt = Date.now();
  await untilDatabaseIs('full', { replicas, meanwhile: () => fillRest(knex) });
  const reportedMs = Date.now() - filledAt;
  const valid = await Promise.all(replicas.map((replica) => call(replica, 'valid')));
  const traffic = environment.startTraffic({ replicas, organizations: ORGANIZATIONS, callers: 1 });
  await delay(FULL_MS);
  await makeRoom(knex);
  await untilDatabaseIs('ok', { replicas });
  const isServed = (organization: string) =>
    traffic.results.some((result) => result.organization === organization && result.status === 200);
  await traffic.until(() => ORGANIZATIONS.every(isServed));
  const results = await traffic.stop();
  const { tokenCalls } = environment;
  return {
    measured: `full is reported after ${seconds(reportedMs)}; valid token: ${countByStatus(valid)}; the others: ${countByStatus(results)}; token calls: ${tokenCalls}`,
    checks: {
      'a valid token is served': haveStatus(valid, 200),
      'calls return only 503 and 200': haveStatus(results, 503, 200),
      'one token call per connection': tokenCalls === ORGANIZATIONS.length,
    },
  };
}

/** Fills the server until it stores no row of the service any more. */
async function fill(knex: Knex): Promise<void> {
  await knex.schema.createTable('filler', (table) => {
    table.increments();
    table.binary('content', 4_000);
  });
  for (const size of FILLER_SIZES) {
    while (await isStored(knex('filler').insert({ content: Buffer.alloc(size) })));
  }
  await fillRest(knex);
}

/** Fills what the server, or a row that was deleted, has made free since. */
async function fillRest(knex: Knex): Promise<void> {
  for (let rejected = 0; rejected < REJECTED_ROWS; ) {
    const row = { state_id: randomUUID(), expires_at: FOREVER };
    rejected = (await isStored(knex('oauth_states').insert(row))) ? 0 : rejected + 1;
  }
}

async function makeRoom(knex: Knex): Promise<void> {
  await knex.schema.dropTable('filler');
  await knex('oauth_states').where('expires_at', FOREVER).delete();
}

async function isStored(insertion: PromiseLike<unknown>): Promise<boolean> {
  try {
    await insertion;
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === 'ER_RECORD_FILE_FULL') return false;
    throw error;
  }
}

/** Resolves once every replica's /readyz reports this state of the database. */
async function untilDatabaseIs(
  state: string,
  { replicas, meanwhile }: { replicas: ServiceProcess[]; meanwhile?: () => Promise<void> },
): Promise<void> {
  await until(async () => {
    await delay(POLL_MS);
    await meanwhile?.();
    const reported = await Promise.all(replicas.map(reportedDatabase));
    return reported.every((each) => each === state);
  });
}

async function reportedDatabase({ origin }: ServiceProcess): Promise<string> {
  const response = await fetch(`${origin}/readyz`);
  const { checks } = (await response.json()) as { checks: { database: string } };
  return checks.database;
}
