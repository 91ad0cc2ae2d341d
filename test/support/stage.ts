import { afterAll, afterEach, beforeAll, beforeEach } from '@jest/globals';
import type { Knex } from 'knex';
import { type IntuitSimulator, startIntuitSimulator } from '../../dev/intuit-simulator/simulator.ts';
import { openKnex } from '../../src/db/session.ts';
import type { OAuthTokenRow } from '../../src/db/tables.ts';
import type { DeactivationReason } from '../../src/models/connection.ts';
import type { CreateDatabase } from './databases.ts';
import type { TestDatabase } from './own-database.ts';
import { secretsOfCalls } from './secrets.ts';
import { startService, type TestService } from './service.ts';

/** A service with an Intuit and a database of its own. */
export interface Stage {
  database: TestDatabase;
  simulator: IntuitSimulator;
  service: TestService;
  /** A way to the database beside the service's own. */
  knex: Knex;
  /** The service's clock; each test begins with the real one. */
  clock: () => Date;
  /** What went over the wire so far and may be told nowhere. */
  secrets: Set<string>;
  /** The organization's rows, oldest first. */
  rows(organizationId: string): Promise<OAuthTokenRow[]>;
  activeRows(organizationId: string): Promise<OAuthTokenRow[]>;
  /** As the token manager does when Intuit refuses the refresh token. */
  lose(organizationId: string, reason?: DeactivationReason): Promise<void>;
}

/** Sets the stage before a suite's tests and takes it down after them; each test begins without faults and calls. */
export function useStage(createDatabase: CreateDatabase, env: Record<string, string> = {}): Stage {
  const rowsWhere = async (condition: Partial<OAuthTokenRow>): Promise<OAuthTokenRow[]> =>
    stage.knex('oauth_tokens').where(condition).orderBy('created_at');
  const stage = {
    secrets: new Set<string>(),
    rows: (organization_id: string) => rowsWhere({ organization_id }),
    activeRows: (organization_id: string) => rowsWhere({ organization_id, is_active: 1 }),
    lose: async (organization_id: string, deactivation_reason: DeactivationReason = 'authorization_revoked') => {
      const change = { is_active: 0 as const, deactivation_reason, deactivated_at: stage.clock() };
      await stage.knex('oauth_tokens').where({ organization_id, is_active: 1 }).update(change);
    },
  } as Stage;

  beforeAll(async () => {
    [stage.database, stage.simulator] = await Promise.all([createDatabase(), startIntuitSimulator()]);
    const { database, simulator } = stage;
    stage.clock = () => new Date();
    stage.service = await startService({ databaseUrl: database.url, simulator, env, now: () => stage.clock() });
    stage.knex = openKnex(stage.service.config.database);
  });
  beforeEach(() => {
    stage.clock = () => new Date();
    stage.simulator.clearFaults();
    stage.simulator.resetCalls();
  });
  afterEach(() => {
    for (const secret of secretsOfCalls(stage.simulator.calls, stage.simulator)) stage.secrets.add(secret);
  });
  afterAll(async () => {
    await stage.service?.close();
    await stage.simulator?.close();
    await stage.knex?.destroy();
    await stage.database?.drop();
  });
  return stage;
}
