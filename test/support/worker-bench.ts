import { afterAll, afterEach, beforeAll, beforeEach, expect } from '@jest/globals';
import type { Knex } from 'knex';
import { type IntuitSimulator, startIntuitSimulator } from '../../dev/intuit-simulator/simulator.ts';
import { loadConfig } from '../../src/config/config.ts';
import { type Context, createContext } from '../../src/context.ts';
import { migrateUp } from '../../src/db/migrations.ts';
import { openKnex } from '../../src/db/session.ts';
import type { ConnectionEventRow, OAuthTokenRow, PendingRevocationRow } from '../../src/db/tables.ts';
import { createLogger } from '../../src/observability/logger.ts';
import type { CreateDatabase } from './databases.ts';
import { environment } from './environment.ts';
import type { TestDatabase } from './own-database.ts';

export const SECONDS = 1_000;
export const MINUTES = 60 * SECONDS;
export const HOURS = 60 * MINUTES;
export const DAYS = 24 * HOURS;

type Times = Parameters<typeof createContext>[3];

/** Replicas of the service without HTTP: one database, one simulator, one clock, and workers that tests drive by hand. */
export class WorkerBench {
  now = new Date();
  database!: TestDatabase;
  simulator!: IntuitSimulator;
  knex!: Knex;
  /** The replica that acts for people and, unless told otherwise, works. */
  home!: Context;
  /** Every line logged by any replica. */
  readonly logs: string[] = [];
  private readonly replicas: Context[] = [];
  private companies = 0;

  constructor(
    readonly env: Record<string, string>,
    readonly times: Times,
  ) {}

  async open(createDatabase: CreateDatabase): Promise<void> {
    const now = () => this.now;
    [this.database, this.simulator] = await Promise.all([createDatabase(), startIntuitSimulator({ now })]);
    const { database } = loadConfig(environment(this.database.url, this.simulator));
    this.knex = openKnex(database);
    await migrateUp(this.knex);
    this.home = await this.replica();
  }

  async close(): Promise<void> {
    for (const replica of this.replicas) await replica.close();
    await this.simulator?.close();
    await this.knex?.destroy();
    await this.database?.drop();
  }

  /** One more process: its own pool of connections, its own memory. */
  async replica(env: Record<string, string> = {}, times = this.times): Promise<Context> {
    const own = { PROVIDER_TIMEOUT_MS: '2000', ...this.env, ...env };
    const config = loadConfig({ ...environment(this.database.url, this.simulator), ...own });
    const logger = await createLogger(config, { write: (line) => this.logs.push(line) });
    const replica = await createContext(config, logger, () => this.now, times);
    this.replicas.push(replica);
    return replica;
  }

  /** The whole flow of one person, to a company of its own unless told. Answers the company. */
  async connect(organizationId: string, realmId = String(++this.companies), actor = 'billing'): Promise<string> {
    const { authorizationUrl, browserSecret } = this.home.oauthService.connect(organizationId, actor);
    const query = new URL(await this.simulator.authorize(authorizationUrl, { realmId })).searchParams;
    const [state = '', code = ''] = ['state', 'code'].map((name) => query.get(name) ?? '');
    await this.home.oauthService.callback({ state, code, realmId }, browserSecret);
    return realmId;
  }

  async disconnect(organizationId: string): Promise<void> {
    await this.home.oauthService.disconnect(organizationId, 'billing');
  }

  /** Has the connection refused by Intuit, at the expiry of its access token. The grant itself lives on. */
  async lose(organizationId: string): Promise<void> {
    this.advance(2 * HOURS);
    this.simulator.fail({ on: 'token', kind: 'invalid_grant' });
    await expect(this.use(organizationId)).rejects.toMatchObject({ code: 'reauthorization_required' });
    this.simulator.resetCalls();
  }

  /** A request to the company, as the gateway makes it. Answers QuickBooks' status. */
  async use(organizationId: string, replica = this.home): Promise<number> {
    const call = {
      organizationId,
      method: 'GET',
      resource: 'query?query=select%20*%20from%20Invoice',
      headers: {},
      body: undefined,
      giveUp: new AbortController(),
    } as const;
    const answer = await replica.gateway.forward(call);
    await answer.body.dump();
    return answer.statusCode;
  }

  advance(milliseconds: number): void {
    this.now = new Date(this.now.getTime() + milliseconds);
  }

  /** Lets the time pass and the worker tick on its way, first after one step. */
  async pass(milliseconds: number, step: number, { worker } = this.home): Promise<void> {
    for (let passed = 0; passed < milliseconds; passed += step) {
      this.advance(Math.min(step, milliseconds - passed));
      await worker.tick();
    }
  }

  async row(organizationId: string): Promise<OAuthTokenRow> {
    const rows = await this.knex('oauth_tokens').where({ organization_id: organizationId, current_key: 1 });
    expect(rows).toHaveLength(1);
    return rows[0] as OAuthTokenRow;
  }

  /** Changes columns of the organization's current row. */
  async set(organizationId: string, columns: Partial<OAuthTokenRow>): Promise<void> {
    await this.knex('oauth_tokens').where({ organization_id: organizationId, current_key: 1 }).update(columns);
  }

  async events(organizationId: string): Promise<ConnectionEventRow[]> {
    return this.knex('connection_events').where({ organization_id: organizationId }).orderBy('position');
  }

  /** The types of the organization's events, oldest first. */
  async story(organizationId: string): Promise<string[]> {
    return (await this.events(organizationId)).map(({ type }) => type);
  }

  async pending(): Promise<PendingRevocationRow[]> {
    return this.knex('pending_revocations').orderBy('created_at');
  }

  refreshes(): number {
    return this.simulator.callsTo('token', 'refresh_token').length;
  }

  revocations(): number {
    return this.simulator.callsTo('revoke').length;
  }
}

/** A bench for the tests of one suite; each begins with empty tables, without faults and calls. Its clock goes on. */
export function useWorkerBench(
  createDatabase: CreateDatabase,
  env: Record<string, string> = {},
  times: Times = { workerPaceMs: 0 },
): WorkerBench {
  const bench = new WorkerBench(env, times);
  beforeAll(() => bench.open(createDatabase));
  beforeEach(() => {
    bench.simulator.clearFaults();
    bench.simulator.resetCalls();
  });
  afterEach(async () => {
    for (const table of [
      'oauth_tokens',
      'connection_events',
      'webhook_queues',
      'pending_revocations',
      'oauth_states',
    ]) {
      await bench.knex(table).delete();
    }
  });
  afterAll(async () => {
    await bench.close();
    expect(bench.logs.filter((line) => /eyJ|AB11|gAAAA|whsec_|simulator-client-secret/.test(line))).toEqual([]);
  });
  return bench;
}
