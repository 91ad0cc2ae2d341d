import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from '@jest/globals';
import type { Knex } from 'knex';
import { type IntuitSimulator, startIntuitSimulator } from '../../dev/intuit-simulator/simulator.ts';
import { loadConfig } from '../../src/config/config.ts';
import { Fernet } from '../../src/crypto/fernet.ts';
import { seal } from '../../src/crypto/token-cipher.ts';
import type { OAuthTokenDatastore } from '../../src/datastores/oauth-token-datastore.ts';
import { PendingRevocationDatastore } from '../../src/datastores/pending-revocation-datastore.ts';
import { migrateUp } from '../../src/db/migrations.ts';
import { openSession, type Session } from '../../src/db/session.ts';
import type { OAuthTokenRow } from '../../src/db/tables.ts';
import { createLogger, type Logger } from '../../src/observability/logger.ts';
import { createMetrics } from '../../src/observability/metrics.ts';
import { GrantRevoker } from '../../src/services/grant-revoker.ts';
import { TokenManager } from '../../src/services/token-manager.ts';
import type { AccountingStrategy } from '../../src/strategies/accounting-strategy.ts';
import { createStrategy } from '../../src/strategies/strategy-registry.ts';
import { InFlight } from '../../src/utils/background-tasks.ts';
import type { CreateDatabase } from './databases.ts';
import { ENCRYPTION_KEY, environment, REDIRECT_URI } from './environment.ts';
import type { TestDatabase } from './own-database.ts';
import { openTokens } from './token-datastore.ts';

export const MINUTES = 60_000;
/** The lifetime of the simulator's access tokens. */
export const HOUR = 60 * MINUTES;
export const DAYS = 24 * HOUR;

/** Short: the pause before a takeover is real time. */
const TAKEOVER_MS = 50;

/** Token managers on a real database and the simulator, with one clock for all of them but the database. */
export class TokenBench {
  readonly fernet = new Fernet([ENCRYPTION_KEY]);
  readonly logs: string[] = [];
  readonly metrics = createMetrics();
  /** The statements that went to the database. */
  readonly queries: string[] = [];
  now = new Date();
  session!: Session;
  simulator!: IntuitSimulator;
  strategy!: AccountingStrategy;
  tokens!: OAuthTokenDatastore;
  logger!: Logger;
  inFlight = new InFlight();
  private database!: TestDatabase;
  private companies = 0;

  constructor(readonly timeoutMs: number) {}

  async open(createDatabase: CreateDatabase): Promise<void> {
    const now = () => this.now;
    [this.database, this.simulator] = await Promise.all([createDatabase(), startIntuitSimulator({ now })]);
    const env = { ...environment(this.database.url, this.simulator), PROVIDER_TIMEOUT_MS: String(this.timeoutMs) };
    const config = loadConfig(env);
    this.logger = await createLogger(config, { write: (line) => this.logs.push(line) });
    this.session = openSession(config.database);
    await migrateUp(this.session.knex);
    this.session.knex.on('query', ({ sql }: { sql: string }) => this.queries.push(sql));
    this.strategy = createStrategy('quickbooks', config, now);
    this.tokens = openTokens(this.session, now);
  }

  async close(): Promise<void> {
    await this.inFlight.settled();
    await this.simulator.close();
    await this.session.close();
    await this.database.drop();
  }

  get knex(): Knex {
    return this.session.knex;
  }

  /** A token manager as one more process would have it. */
  replica(parts: { tokens?: OAuthTokenDatastore; strategy?: AccountingStrategy } = {}): TokenManager {
    const { strategy = this.strategy, tokens = this.tokens } = parts;
    const now = () => this.now;
    const pending = new PendingRevocationDatastore(this.session, now);
    const revoker = new GrantRevoker(strategy, tokens, pending, this.fernet, this.logger, now);
    const { fernet, inFlight, logger, timeoutMs } = this;
    return new TokenManager(
      strategy,
      tokens,
      fernet,
      revoker,
      inFlight,
      logger,
      this.metrics,
      () => this.now,
      timeoutMs,
      TAKEOVER_MS,
    );
  }

  /** Connects an organization, to a company of its own unless told, with an access token of an hour. */
  async connect(organizationId: string, realmId = String(++this.companies)): Promise<{ realmId: string }> {
    const code = this.simulator.issueCode({ realmId, redirectUri: REDIRECT_URI });
    const tokens = seal(this.fernet, await this.strategy.exchangeCode(code));
    const company = { realmId, companyName: undefined };
    const connection = { tokenId: randomUUID(), organizationId, system: 'quickbooks', ...company, ...tokens } as const;
    await this.tokens.replaceActive(connection, 'somebody');
    this.simulator.resetCalls();
    return { realmId };
  }

  advance(milliseconds: number): void {
    this.now = new Date(this.now.getTime() + milliseconds);
  }

  /** Changes columns of the organization's current row. */
  async set(organizationId: string, columns: Partial<OAuthTokenRow>): Promise<void> {
    await this.knex('oauth_tokens').where({ organization_id: organizationId, current_key: 1 }).update(columns);
  }

  async row(organizationId: string): Promise<OAuthTokenRow> {
    const rows = await this.knex('oauth_tokens').where({ organization_id: organizationId, current_key: 1 });
    expect(rows).toHaveLength(1);
    return rows[0] as OAuthTokenRow;
  }

  refreshes(): number {
    return this.simulator.callsTo('token', 'refresh_token').length;
  }
}

/** A bench for the tests of one suite; each begins without faults and calls. */
export function useTokenBench(createDatabase: CreateDatabase, timeoutMs = 2_000): TokenBench {
  const bench = new TokenBench(timeoutMs);
  beforeAll(() => bench.open(createDatabase));
  beforeEach(() => {
    bench.now = new Date();
    bench.simulator.clearFaults();
    bench.simulator.resetCalls();
    bench.queries.splice(0);
  });
  afterEach(() => bench.inFlight.settled()); // nothing of one test goes on in the next
  afterAll(async () => {
    await bench.close();
    expect(bench.logs.filter((line) => /eyJ|AB11|gAAAA|simulator-client-secret/.test(line))).toEqual([]);
  });
  return bench;
}

/** The code with which `work` fails. */
export async function codeOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => 'it succeeded',
    (error: { code?: string; name?: string }) => error.code ?? error.name,
  );
}
