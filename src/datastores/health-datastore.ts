import { randomUUID } from 'node:crypto';
import { isDenied, isFull, isReadOnly } from '../db/database-errors.ts';
import { migrationNames } from '../db/migrations.ts';
import { readServerSettings, type ServerSettings } from '../db/server-settings.ts';
import type { Session } from '../db/session.ts';
import type { OAuthTokenRow } from '../db/tables.ts';
import type { Ciphertext } from '../models/connection.ts';

/** Why the database cannot be used. */
export type DatabaseFailure = 'unreachable' | 'denied' | 'read_only' | 'full';

/** Tokens that are read from each end, since a single one may be damaged. */
const SAMPLE_SIZE = 3;
/** The row of a test write is in no other table's way: it looks like a state that expired long ago. */
const EXPIRED = new Date(0);

/** What shows whether the database can be used. */
export class HealthDatastore {
  private readonly session: Session;

  constructor(session: Session) {
    this.session = session;
  }

  /** Reads the settings of the server that could break the service. */
  async readSettings(): Promise<ServerSettings> {
    return readServerSettings(this.session);
  }

  /** True if a migration of this version has not run yet. Changes nothing. */
  async hasPendingMigrations(): Promise<boolean> {
    const hasTable = await this.session.read((db) => db.schema.hasTable('knex_migrations'));
    if (!hasTable) return true;
    const done = new Set<string>(await this.session.read((db) => db('knex_migrations').pluck('name')));
    return (await migrationNames()).some((name) => !done.has(name));
  }

  /** Commits a write that changes nothing: a server that is full may reject only what is stored. */
  async write(): Promise<void> {
    const row = { state_id: randomUUID(), expires_at: EXPIRED };
    await this.session.transaction(async (trx) => {
      await trx('oauth_states').insert(row);
      await trx('oauth_states').where('state_id', row.state_id).delete();
    });
  }

  /** Returns refresh tokens of active connections: some that were stored long ago, and some that were stored recently. */
  async sampleTokens(): Promise<Ciphertext[][]> {
    return [await this.readTokens('asc'), await this.readTokens('desc')];
  }

  /** Returns what an error of the methods above means. */
  failureOf(error: unknown): { failure: DatabaseFailure; code: string | undefined } {
    const cause = (error as Error).cause ?? error;
    const failure = isDenied(cause)
      ? 'denied'
      : isReadOnly(cause)
        ? 'read_only'
        : isFull(cause)
          ? 'full'
          : 'unreachable';
    return { failure, code: (cause as { code?: string }).code };
  }

  private async readTokens(order: 'asc' | 'desc'): Promise<Ciphertext[]> {
    const rows: Pick<OAuthTokenRow, 'refresh_token'>[] = await this.session.read((db) =>
      db('oauth_tokens')
        .where('is_active', 1)
        .orderBy('refresh_token_expires_at', order)
        .limit(SAMPLE_SIZE)
        .select('refresh_token'),
    );
    return rows.map((row) => row.refresh_token as Ciphertext);
  }
}
