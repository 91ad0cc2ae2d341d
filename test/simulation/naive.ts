import type { TokenSet } from '../../src/models/connection.ts';
import { DatabaseLink } from './database-link.ts';
import type { Handler, Instance, Stored, Surroundings } from './handler.ts';
import { ProviderLink } from './provider-link.ts';
import type { Replica } from './replica.ts';

interface Row extends Stored {
  accessTokenExpiresAt: number;
}

/**
 * What is often written: refresh where the token is found expired, store what came back, and take any failure for the
 * connection's end. No lock, no second try, nobody who looks after connections that are not used.
 */
export function openNaive(surroundings: Surroundings): Handler {
  const rows = new Map<string, Row>();
  return {
    start: (replica) => new NaiveInstance(surroundings, rows, replica),
    read: async (organizationId) => rows.get(organizationId),
    close: async () => undefined,
  };
}

class NaiveInstance implements Instance {
  private readonly link: DatabaseLink;
  private readonly strategy: ProviderLink;

  constructor(
    private readonly surroundings: Surroundings,
    private readonly rows: Map<string, Row>,
    private readonly replica: Replica,
  ) {
    const { time, random, conditions, provider, ledger } = surroundings;
    this.link = new DatabaseLink(time, random, conditions.database, replica);
    this.strategy = new ProviderLink(time, random, conditions, provider, replica, ledger);
  }

  async call(organizationId: string): Promise<void> {
    const accessToken = await this.accessToken(organizationId);
    if (!this.surroundings.provider.opens(accessToken)) throw new Error('the provider refused the token');
  }

  async connect(organizationId: string, _realmId: string, code: string): Promise<void> {
    await this.write(organizationId, toRow(await this.strategy.exchangeCode(code)));
  }

  async disconnect(organizationId: string): Promise<void> {
    const row = await this.query(() => this.rows.get(organizationId));
    if (row) await this.strategy.revoke(row.refreshToken);
    await this.query(() => this.rows.delete(organizationId));
  }

  async work(): Promise<void> {}

  async stop(): Promise<void> {}

  private async accessToken(organizationId: string): Promise<string> {
    const row = await this.query(() => this.rows.get(organizationId));
    if (!row?.isActive) throw new Error('not connected');
    if (row.accessTokenExpiresAt > this.replica.now().getTime()) return row.accessToken;
    try {
      const tokens = await this.strategy.refresh(row.refreshToken);
      await this.write(organizationId, toRow(tokens));
      this.surroundings.ledger.recovered(organizationId); // where another's failure had just ended it
      return tokens.accessToken;
    } catch (error) {
      await this.deactivate(organizationId);
      throw error;
    }
  }

  private async deactivate(organizationId: string): Promise<void> {
    await this.query(() => {
      const row = this.rows.get(organizationId);
      if (!row?.isActive) return;
      this.rows.set(organizationId, { ...row, isActive: false });
      this.surroundings.ledger.note(organizationId, `${this.replica.name} deactivated`);
      this.surroundings.ledger.lost(organizationId, undefined);
    });
  }

  private async write(organizationId: string, row: Row): Promise<void> {
    await this.query(() => this.rows.set(organizationId, row));
  }

  private async query<T>(statement: () => T): Promise<T> {
    await this.link.travel();
    const answer = statement();
    await this.link.comeBack();
    return answer;
  }
}

function toRow({ accessToken, accessTokenExpiresAt, refreshToken = '' }: TokenSet): Row {
  return { isActive: true, accessToken, refreshToken, accessTokenExpiresAt: accessTokenExpiresAt.getTime() };
}
