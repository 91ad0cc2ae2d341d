import { afterAll, afterEach, beforeAll, beforeEach, expect } from '@jest/globals';
import type { Knex } from 'knex';
import { type IntuitSimulator, startIntuitSimulator } from '../../dev/intuit-simulator/simulator.ts';
import { loadConfig } from '../../src/config/config.ts';
import type { Context } from '../../src/context.ts';
import { migrateUp } from '../../src/db/migrations.ts';
import { openKnex } from '../../src/db/session.ts';
import type {
  ConnectionEventRow,
  OAuthTokenRow,
  OAuthTokenUpdate,
  PendingRevocationRow,
  StoredInstant,
} from '../../src/db/tables.ts';
import type {
  ConnectionKey,
  DeactivationReason,
  LossReason,
  OrganizationId,
  RealmId,
} from '../../src/models/connection.ts';
import type { AccountingStrategy } from '../../src/strategies/accounting-strategy.ts';
import type { CreateDatabase } from './databases.ts';
import { environment } from './environment.ts';
import { IgnoredResponse } from './ignored-response.ts';
import type { TestDatabase } from './own-database.ts';
import { secretsOfCalls } from './secrets.ts';
import { startReplica, startService, type TestService } from './service.ts';
import { TestClock } from './test-clock.ts';

export const SECONDS = 1_000;
export const MINUTES = 60 * SECONDS;
export const HOURS = 60 * MINUTES;
export const DAYS = 24 * HOURS;

interface HarnessOptions {
  /** Added to `environment()`. */
  env?: Record<string, string>;
  /** Whether the wall clock stands still until a test advances it. */
  frozen?: boolean;
  /** Whether each test begins with empty tables. */
  isolated?: boolean;
}

/** How one more process is started. */
interface ReplicaOptions {
  env?: Record<string, string>;
  strategies?: readonly AccountingStrategy[];
}

/** The service over a database and an Intuit simulator of its own, with a clock that tests move. */
export class Harness {
  readonly clock = new TestClock();
  /** Every line logged by any replica. */
  readonly logs: string[] = [];
  /** The statements that replicas sent to the database. */
  readonly queries: string[] = [];
  /** Everything secret that went over the wire so far. */
  readonly secrets = new Set<string>();
  database!: TestDatabase;
  simulator!: IntuitSimulator;
  /** A way to the database beside the service's own. */
  knex!: Knex;
  /** The first replica, with HTTP. */
  service!: TestService;
  private readonly options: HarnessOptions;
  private readonly replicas: Context[] = [];
  private companies = 0;

  constructor(options: HarnessOptions) {
    this.options = options;
  }

  /** The first replica's parts. */
  get home(): Context {
    return this.service.context;
  }

  async open(createDatabase: CreateDatabase): Promise<void> {
    const now = () => this.clock.now();
    [this.database, this.simulator] = await Promise.all([createDatabase(), startIntuitSimulator({ now })]);
    const { database } = loadConfig(environment(this.database.url, this.simulator));
    this.knex = openKnex(database);
    await migrateUp(this.knex);
    this.service = await startService(this.startOptions({}));
    this.observe(this.home);
  }

  async close(): Promise<void> {
    await this.service?.close();
    for (const replica of this.replicas) await replica.close();
    await this.simulator?.close();
    await this.knex?.destroy();
    await this.database?.drop();
  }

  /** Before each test: no faults, no calls, the real time. */
  reset(): void {
    if (this.options.frozen) this.clock.freeze();
    this.simulator.clearFaults();
    this.simulator.resetCalls();
    this.queries.splice(0);
  }

  /** After each test: nothing of it continues in the next. */
  async finish(): Promise<void> {
    for (const { backgroundTasks } of [this.home, ...this.replicas]) await backgroundTasks.drain();
    for (const secret of secretsOfCalls(this.simulator.calls, this.simulator)) this.secrets.add(secret);
    if (!this.options.isolated) return;
    for (const table of TABLES) await this.knex(table).delete();
  }

  /** One more process, without HTTP: its own pool of connections, its own memory. */
  async replica(options: ReplicaOptions = {}): Promise<Context> {
    const replica = await startReplica(this.startOptions(options));
    this.replicas.push(replica);
    this.observe(replica);
    return replica;
  }

  key(organizationId: string): ConnectionKey {
    return { organizationId: organizationId as OrganizationId, system: 'quickbooks' };
  }

  /**
   * The whole flow of one user, to a company of its own by default. Returns the company.
   * @param grantFor the company that the user really chose; by default, the one that the callback names
   */
  async connect(
    organizationId: string,
    realmId = String(++this.companies),
    { actor = 'billing', grantFor = realmId } = {},
  ): Promise<RealmId> {
    const { authorizationUrl, browserSecret } = this.home.oauthService.connect(this.key(organizationId), actor);
    const query = new URL(await this.simulator.authorize(authorizationUrl, { realmId: grantFor })).searchParams;
    const [state = '', code = ''] = ['state', 'code'].map((name) => query.get(name) ?? '');
    const parameters = { state, code, realmId: realmId as RealmId };
    await this.home.oauthService.callback('quickbooks', parameters, browserSecret);
    this.simulator.resetCalls();
    return realmId as RealmId;
  }

  async disconnect(organizationId: string): Promise<void> {
    await this.home.oauthService.disconnect(this.key(organizationId), 'billing');
  }

  /** A request to the company, as the gateway makes it. Returns QuickBooks' status. */
  async use(organizationId: string, replica = this.home): Promise<number> {
    const response = new IgnoredResponse();
    await replica.gateway.forward({
      ...this.key(organizationId),
      method: 'GET',
      resource: 'query?query=select%20*%20from%20Invoice',
      headers: {},
      response,
    });
    return response.status;
  }

  /** Makes Intuit reject the connection's refresh token once, at the expiry of its access token. The grant lives on. */
  async lose(organizationId: string): Promise<void> {
    this.clock.advance(2 * HOURS);
    this.simulator.fail({ on: 'token', kind: 'invalid_grant' });
    await expect(this.use(organizationId)).rejects.toMatchObject({ code: 'reauthorization_required' });
    this.simulator.resetCalls();
  }

  /** Marks the connection's row as lost, or ended. */
  async deactivate(organizationId: string, reason: DeactivationReason | LossReason = 'authorization_revoked') {
    await this.set(organizationId, {
      is_active: 0,
      deactivation_reason: reason,
      deactivated_at: this.clock.now(),
    });
  }

  /** Gives the connection's access token this much time by the service's own record; Intuit still accepts it. */
  async setTimeLeft(organizationId: string, milliseconds: number): Promise<void> {
    await this.set(organizationId, {
      access_token_expires_at: new Date(this.clock.now().getTime() + milliseconds),
    });
  }

  async expire(organizationId: string): Promise<void> {
    await this.setTimeLeft(organizationId, -1 * SECONDS);
  }

  /** Lets time pass, running the worker after each step, which is longer than any back-off. */
  async runWorker(milliseconds: number, step: number, { worker } = this.home): Promise<void> {
    for (let passed = 0; passed < milliseconds; passed += step) {
      this.clock.advance(Math.min(step, milliseconds - passed));
      await this.endBackOffs();
      await worker.tick();
    }
  }

  /** Ends all back-offs of refreshes: they are measured by the database's clock, which a test cannot advance. */
  async endBackOffs(): Promise<void> {
    await this.knex('oauth_tokens').whereNotNull('next_refresh_attempt_at').update({ next_refresh_attempt_at: null });
  }

  /** Moves the clocks forward, and for the back-offs of refreshes the database's clock too. */
  async advance(milliseconds: number): Promise<void> {
    const rows = await this.knex('oauth_tokens').whereNotNull('next_refresh_attempt_at');
    for (const { token_id, next_refresh_attempt_at } of rows) {
      const earlier = new Date(new Date(next_refresh_attempt_at as StoredInstant).getTime() - milliseconds);
      await this.knex('oauth_tokens').where({ token_id }).update({ next_refresh_attempt_at: earlier });
    }
    this.clock.advance(milliseconds);
  }

  /** Changes columns of the organization's current row. */
  async set(organizationId: string, columns: OAuthTokenUpdate): Promise<void> {
    await this.knex('oauth_tokens').where(current(organizationId)).update(columns);
  }

  /** The organization's current row. */
  async row(organizationId: string): Promise<OAuthTokenRow> {
    const rows = await this.knex('oauth_tokens').where(current(organizationId));
    expect(rows).toHaveLength(1);
    return rows[0] as OAuthTokenRow;
  }

  /** All of the organization's rows, oldest first. */
  async rows(organizationId: string): Promise<OAuthTokenRow[]> {
    return this.knex('oauth_tokens')
      .where({ organization_id: organizationId as OrganizationId })
      .orderBy('created_at');
  }

  async activeRows(organizationId: string): Promise<OAuthTokenRow[]> {
    return (await this.rows(organizationId)).filter((row) => row.is_active === 1);
  }

  /** The organization's events, oldest first. */
  async events(organizationId: string): Promise<ConnectionEventRow[]> {
    const rows = this.knex('connection_events').where({ organization_id: organizationId as OrganizationId });
    return rows.orderBy('position');
  }

  async eventTypes(organizationId: string): Promise<string[]> {
    return (await this.events(organizationId)).map(({ type }) => type);
  }

  async pendingRevocations(): Promise<PendingRevocationRow[]> {
    return this.knex('pending_revocations').orderBy('created_at');
  }

  /** How many refresh tokens reached Intuit since the calls were reset. */
  refreshes(): number {
    return this.simulator.callsTo('token', 'refresh_token').length;
  }

  revocations(): number {
    return this.simulator.callsTo('revoke').length;
  }

  private startOptions({ env, strategies }: ReplicaOptions) {
    const { clock, logs, simulator } = this;
    return {
      databaseUrl: this.database.url,
      simulator,
      clock,
      logs,
      env: { ...this.options.env, ...env },
      ...(strategies ? { strategies } : {}),
    };
  }

  private observe({ session }: Context): void {
    for (const knex of session.pools()) knex.on('query', ({ sql }: { sql: string }) => this.queries.push(sql));
  }
}

/** A harness for the tests of one suite. */
export function useHarness(createDatabase: CreateDatabase, options: HarnessOptions = {}): Harness {
  const harness = new Harness(options);
  beforeAll(() => harness.open(createDatabase));
  beforeEach(() => harness.reset());
  afterEach(() => harness.finish());
  afterAll(async () => {
    await harness.close();
    expect(harness.logs.filter((line) => TOKENS.test(line))).toEqual([]);
  });
  return harness;
}

/** The code with which `work` fails, or its error's name. */
export async function codeOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => 'it succeeded',
    (error: { code?: string; name?: string }) => error.code ?? error.name,
  );
}

/** What no log line may contain: JWTs, Intuit's tokens, ciphertexts, secrets. */
const TOKENS = /eyJ|AB11|gAAAA|whsec_|simulator-client-secret/;

const TABLES = [
  'oauth_tokens',
  'connection_events',
  'webhook_queues',
  'pending_revocations',
  'pending_grants',
  'oauth_states',
];

function current(organizationId: string) {
  return { organization_id: organizationId as OrganizationId, current_key: 1 } as const;
}
