import type { Knex } from 'knex';
import type { Session } from '../db/session.ts';

/** Figures about all tables. Instants are absent if there is no such row. */
export interface Statistics {
  active: number;
  lost: number;
  refreshFailing: number;
  pendingRevocations: number;
  pendingWebhooks: number;
  /** When the first refresh token of an active connection expires. */
  earliestRefreshTokenExpiry: Date | undefined;
  /** When the connection that has waited longest was due for maintenance. */
  earliestMaintenance: Date | undefined;
}

/** Rows are counted up to this number: the figure then means "many". */
const MAX_COUNT = 5_000;

/** Figures that read a few index entries each, however many connections there are. */
export class StatisticsDatastore {
  private readonly session: Session;

  constructor(session: Session) {
    this.session = session;
  }

  async read(): Promise<Statistics> {
    // One query after another: callers need the pool more than a scrape does.
    const counts = await this.session.read((db) =>
      db('connection_counts').sum({ active: 'active', lost: 'lost' }).first(),
    );
    const expiring = await this.session.read((db) =>
      db('oauth_tokens').where('is_active', 1).orderBy('refresh_token_expires_at').first('refresh_token_expires_at'),
    );
    const due = await this.session.read((db) =>
      db('oauth_tokens')
        .whereNotNull('next_maintenance_at')
        .orderBy('next_maintenance_at')
        .first('next_maintenance_at'),
    );
    return {
      active: Number(counts?.['active'] ?? 0),
      lost: Number(counts?.['lost'] ?? 0),
      refreshFailing: await this.count((db) => db('oauth_tokens').where({ is_refresh_failing: 1, is_active: 1 })),
      pendingRevocations: await this.count((db) => db('pending_revocations')),
      pendingWebhooks: await this.count((db) => db('webhook_queues').whereNotNull('next_attempt_at')),
      earliestRefreshTokenExpiry: expiring && new Date(expiring.refresh_token_expires_at),
      earliestMaintenance: due?.next_maintenance_at ? new Date(due.next_maintenance_at) : undefined,
    };
  }

  /** This process's connections to the database, and the queries that wait for one. */
  pool(): { used: number; idle: number; waiting: number } {
    return this.session.pool();
  }

  private async count(rows: (db: Knex) => Knex.QueryBuilder): Promise<number> {
    const counted = await this.session.read((db) =>
      db
        .from(rows(db).select(db.raw('1')).limit(MAX_COUNT).as('counted'))
        .count({ total: '*' })
        .first(),
    );
    return Number(counted?.total ?? 0);
  }
}
