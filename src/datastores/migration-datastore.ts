import { migrationNames } from '../db/migrations.ts';
import type { Session } from '../db/session.ts';

/** `knex_migrations`: which migrations the database has. */
export class MigrationDatastore {
  private readonly session: Session;

  constructor(session: Session) {
    this.session = session;
  }

  /** True if a migration of this version has not run yet. Changes nothing. */
  async hasPending(): Promise<boolean> {
    const hasTable = await this.session.query((db) => db.schema.hasTable('knex_migrations'));
    if (!hasTable) return true;
    const done = new Set<string>(await this.session.query((db) => db('knex_migrations').pluck('name')));
    return (await migrationNames()).some((name) => !done.has(name));
  }
}
