import type { PlainToken, TokenSet } from '../../src/models/connection.ts';
import { DatabaseConnection } from './database-connection.ts';
import type { Environment, Implementation, Instance, StoredConnection } from './implementation.ts';
import type { Replica } from './replica.ts';
import { SimulatedStrategy } from './simulated-strategy.ts';

interface Row extends StoredConnection {
  accessTokenExpiresAt: number;
}

/**
 * A common implementation: it refreshes a token that has expired, stores the response, and treats every failure as the
 * end of the connection. It has no lock, no retries, and no maintenance of unused connections.
 */
export function openNaive(environment: Environment): Implementation {
  const rows = new Map<string, Row>();
  return {
    startProcess: (replica) => new NaiveInstance(environment, rows, replica),
    read: async (organizationId) => rows.get(organizationId),
    hasDueJobs: async () => false,
    beginLag: async () => undefined,
    close: async () => undefined,
  };
}

class NaiveInstance implements Instance {
  private readonly environment: Environment;
  private readonly rows: Map<string, Row>;
  private readonly replica: Replica;
  private readonly connection: DatabaseConnection;
  private readonly strategy: SimulatedStrategy;

  constructor(environment: Environment, rows: Map<string, Row>, replica: Replica) {
    this.environment = environment;
    this.rows = rows;
    this.replica = replica;
    this.connection = new DatabaseConnection(environment, replica);
    this.strategy = new SimulatedStrategy(environment, replica);
  }

  async call(organizationId: string): Promise<void> {
    const accessToken = await this.accessToken(organizationId);
    if (!this.environment.provider.acceptsAccessToken(accessToken)) throw new Error('the token was rejected');
  }

  async connect(organizationId: string, code: string): Promise<void> {
    const { tokens } = await this.strategy.exchangeCode({ state: '', code });
    await this.query(() => this.rows.set(organizationId, toRow(tokens)));
  }

  async disconnect(organizationId: string): Promise<void> {
    const row = await this.query(() => this.rows.get(organizationId));
    if (row) await this.strategy.revoke(row.refreshToken as PlainToken);
    await this.query(() => this.rows.delete(organizationId));
  }

  async runJobs(): Promise<void> {}

  async stop(): Promise<void> {}

  private async accessToken(organizationId: string): Promise<string> {
    const row = await this.query(() => this.rows.get(organizationId));
    if (!row?.isActive) throw new Error('not connected');
    if (row.accessTokenExpiresAt > this.replica.clock.now().getTime()) return row.accessToken;
    try {
      const tokens = await this.strategy.refresh(row.refreshToken as PlainToken);
      await this.query(() => this.rows.set(organizationId, toRow(tokens)));
      this.environment.recorder.recordRecovery(organizationId); // if another process had deactivated it meanwhile
      return tokens.accessToken;
    } catch (error) {
      await this.deactivate(organizationId);
      throw error;
    }
  }

  private async deactivate(organizationId: string): Promise<void> {
    const { recorder } = this.environment;
    await this.query(() => {
      const row = this.rows.get(organizationId);
      if (!row?.isActive) return;
      this.rows.set(organizationId, { ...row, isActive: false });
      recorder.trace(organizationId, `${this.replica.name} deactivated`);
      recorder.recordLoss(organizationId, undefined);
    });
  }

  private async query<T>(statement: () => T): Promise<T> {
    await this.connection.send();
    const result = statement();
    await this.connection.receive();
    return result;
  }
}

function toRow({ accessToken, accessTokenExpiresAt, refreshToken = '' as PlainToken }: TokenSet): Row {
  return { isActive: true, accessToken, refreshToken, accessTokenExpiresAt: accessTokenExpiresAt.getTime() };
}
