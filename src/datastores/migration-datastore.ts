import { migrationNames } from '../db/migrations.ts';
import type { Session } from '../db/session.ts';

/** `knex_migrations`: which migrations the database has. */
export class MigrationDatastore {
  constructor(private readonly session: Session) {}

  /** True where this version's tables are not all there yet. Changes nothing. */
  async hasPending(): Promise<boolean> {
    const isPrepared = await this.session.query((db) => db.schema.hasTable('knex_migrations'));
    if (!isPrepared) return true;
    const done = new Set<string>(await this.session.query((db) => db('knex_migrations').pluck('name')));
    return (await migrationNames()).some((name) => !done.has(name));
  }
}
