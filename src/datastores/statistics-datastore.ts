import type { Knex } from 'knex';
import type { Session } from '../db/session.ts';

/** What there is of everything. Instants are absent where there is nothing to tell of. */
export interface Overview {
  active: number;
  lost: number;
  refreshFailing: number;
  revocationsWaiting: number;
  webhooksWaiting: number;
  soonestExpiry: Date | undefined;
  mostOverdue: Date | undefined;
}

/** What waits is counted no further than this: the figure then says that it is a lot. */
const MOST_COUNTED = 5_000;

/** Figures over all tables that read a few rows of an index each, however many connections there are. */
export class OverviewDatastore {
  constructor(private readonly session: Session) {}

  async read(): Promise<Overview> {
    // One after the other: callers need the pool more than a scrape does.
    const counts = await this.session.query((db) =>
      db('connection_counts').sum({ active: 'active', lost: 'lost' }).first(),
    );
    const soonest = await this.session.query((db) =>
      db('oauth_tokens').where('is_active', 1).orderBy('refresh_token_expires_at').first('refresh_token_expires_at'),
    );
    const overdue = await this.session.query((db) =>
      db('oauth_tokens').whereNotNull('next_care_at').orderBy('next_care_at').first('next_care_at'),
    );
    return {
      active: Number(counts?.['active'] ?? 0),
      lost: Number(counts?.['lost'] ?? 0),
      refreshFailing: await this.count((db) => db('oauth_tokens').where({ is_refresh_failing: 1, is_active: 1 })),
      revocationsWaiting: await this.count((db) => db('pending_revocations')),
      webhooksWaiting: await this.count((db) => db('webhook_queues').whereNotNull('next_attempt_at')),
      soonestExpiry: soonest && new Date(soonest.refresh_token_expires_at),
      mostOverdue: overdue?.next_care_at ? new Date(overdue.next_care_at) : undefined,
    };
  }

  /** This process's connections to the database, and the queries that wait for one. */
  pool(): { used: number; idle: number; waiting: number } {
    return this.session.pool();
  }

  private async count(rows: (db: Knex) => Knex.QueryBuilder): Promise<number> {
    const counted = await this.session.query((db) =>
      db
        .from(rows(db).select(db.raw('1')).limit(MOST_COUNTED).as('some'))
        .count({ total: '*' })
        .first(),
    );
    return Number(counted?.total ?? 0);
  }
}
