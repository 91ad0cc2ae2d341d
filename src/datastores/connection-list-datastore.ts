import type { Knex } from 'knex';
import type { Session } from '../db/session.ts';
import type { OAuthTokenRow } from '../db/tables.ts';
import type { AccountingSystem, Connection, OrganizationId } from '../models/connection.ts';
import type { ConnectionFilter, ListedState } from '../models/connection-list.ts';
import { type Clock, fromNow } from '../utils/clock.ts';
import { toConnection } from './oauth-token-row.ts';

const DAY_MS = 86_400_000;
/** A connection whose authorization has no more than this left is listed as expiring. */
const EXPIRING_MS = 30 * DAY_MS;

/** Which index has the connections of each state in the order of organizations. */
const INDEXES: Record<ListedState, string> = {
  active: 'oauth_tokens_list_index',
  lost: 'oauth_tokens_list_index',
  refresh_failing: 'oauth_tokens_list_failing_index',
  expiring: 'oauth_tokens_list_expiring_index',
};

const CURRENT = { active: { current_key: 1, is_active: 1 }, lost: { current_key: 1, is_active: 0 } } as const;

/** Which page of which connections. */
export interface ConnectionListQuery extends ConnectionFilter {
  system: AccountingSystem;
  /** The organization that the page comes after; absent for the first page. */
  after?: OrganizationId | undefined;
  limit: number;
}

/** Columns that are equal in a part of the list. Together with the organization they are the columns of an index. */
type Part = Partial<OAuthTokenRow>;

/**
 * Lists the current connections of all organizations, in their order. A page is merged from parts, of which an index has
 * each in this order, so that it reads no more than `limit` entries of each, however many connections there are.
 */
export class ConnectionListDatastore {
  private readonly session: Session;
  private readonly clock: Clock;

  constructor({ session, clock }: { session: Session; clock: Clock }) {
    this.session = session;
    this.clock = clock;
  }

  async listPage(query: ConnectionListQuery): Promise<Connection[]> {
    const rows = await this.session.read((db) => {
      const parts = this.partsOf(query).map((part) => db.select('*').from(this.selectPart(db, part, query).as('part')));
      const page = db.unionAll(parts).orderBy('organization_id').limit(query.limit).as('page');
      return db
        .select<OAuthTokenRow[]>('oauth_tokens.*')
        .from(page)
        .join('oauth_tokens', 'oauth_tokens.token_id', 'page.token_id')
        .orderBy('page.organization_id');
    });
    return rows.map(toConnection);
  }

  /** Returns every connection, page by page. */
  async *listAll(query: Omit<ConnectionListQuery, 'after' | 'limit'>, limit = 200): AsyncGenerator<Connection> {
    for (let after: OrganizationId | undefined; ; ) {
      const page = await this.listPage({ ...query, after, limit });
      yield* page;
      if (page.length < limit) return;
      after = page.at(-1)?.organizationId;
    }
  }

  private partsOf({ state, realmId }: ConnectionFilter): Part[] {
    switch (state) {
      case undefined:
        return [CURRENT.active, CURRENT.lost];
      case 'active':
      case 'lost':
        return [CURRENT[state]];
      case 'refresh_failing':
        return [{ ...CURRENT.active, is_refresh_failing: 1 }];
      case 'expiring':
        if (realmId !== undefined) return [CURRENT.active]; // few organizations share a company
        return this.expiringDays().map((day) => ({ ...CURRENT.active, authorization_expires_day: day }));
    }
  }

  private selectPart(db: Knex, part: Part, { system, state, realmId, after, limit }: ConnectionListQuery) {
    const company = realmId === undefined ? {} : { realm_id: realmId };
    const index = realmId === undefined ? INDEXES[state ?? 'active'] : 'oauth_tokens_list_company_index';
    const rows = db
      .from(this.usingIndex(db, index))
      .where({ ...company, accounting_system: system, ...part })
      .orderBy('organization_id')
      .limit(limit)
      .select('token_id', 'organization_id');
    if (after !== undefined) rows.where('organization_id', '>', after);
    if (state === 'expiring') this.limitToExpiring(rows, part.authorization_expires_day);
    return rows;
  }

  /** @param day the day of all of the rows; absent if they are of any day */
  private limitToExpiring(rows: Knex.QueryBuilder, day: number | null | undefined): void {
    const until = fromNow(this.clock, EXPIRING_MS);
    if (day === undefined) rows.where('authorization_expires_day', '>=', dayOf(this.clock.now()));
    if (day === undefined || day === dayOf(until)) rows.where('authorization_expires_at', '<=', until);
  }

  /** With a limit, MySQL prefers an index that is in order but has every row to one that has only the rows of the part. */
  private usingIndex(db: Knex, index: string): Knex.Raw {
    const hint = this.session.dialect === 'mysql' ? '?? FORCE INDEX (??)' : '?? INDEXED BY ??';
    return db.raw(hint, ['oauth_tokens', index]);
  }

  /** From today to the day within which the limit lies. */
  private expiringDays(): number[] {
    const today = dayOf(this.clock.now());
    return Array.from({ length: EXPIRING_MS / DAY_MS + 1 }, (_, day) => today + day);
  }
}

/** In days since 1970 in UTC. */
function dayOf(instant: Date): number {
  return Math.floor(instant.getTime() / DAY_MS);
}
