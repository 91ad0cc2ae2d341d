import { CompiledSelect } from '../db/compiled-select.ts';
import type { Session } from '../db/session.ts';
import type { OAuthTokenRow } from '../db/tables.ts';
import type {
  AccountingSystem,
  Connection,
  ConnectionKey,
  ConnectionStatus,
  OrganizationId,
} from '../models/connection.ts';
import { BatchedRead } from '../utils/batched-read.ts';
import type { Clock } from '../utils/clock.ts';
import { STATUS_COLUMNS, toConnection, toConnectionStatus } from './oauth-token-row.ts';

/** The largest statement. */
const MAX_KEYS = 64;

interface Dependencies {
  session: Session;
  clock: Clock;
}

/**
 * Reads current connections without deciding anything about a refresh token: what one node has, which may lag. The reads
 * of one iteration of the event loop are one statement.
 */
export class ConnectionReader {
  private readonly session: Session;
  private readonly clock: Clock;
  private readonly statuses = new Map<AccountingSystem, BatchedRead<OrganizationId, ConnectionStatus>>();
  private readonly connections = new Map<AccountingSystem, BatchedRead<OrganizationId, Connection>>();

  constructor({ session, clock }: Dependencies) {
    this.session = session;
    this.clock = clock;
  }

  /** Returns what callers see of the organization's connection, active or lost, or undefined if there is none. */
  async readStatus({ organizationId, system }: ConnectionKey): Promise<ConnectionStatus | undefined> {
    return this.batchOf(this.statuses, system, STATUS_COLUMNS, toConnectionStatus).read(organizationId);
  }

  /** Returns the organization's connection, active or lost, or undefined if there is none. */
  async readConnection({ organizationId, system }: ConnectionKey): Promise<Connection | undefined> {
    return this.batchOf(this.connections, system, ['*'], toConnection).read(organizationId);
  }

  private batchOf<Value>(
    batches: Map<AccountingSystem, BatchedRead<OrganizationId, Value>>,
    system: AccountingSystem,
    columns: readonly string[],
    convert: (row: OAuthTokenRow) => Value,
  ): BatchedRead<OrganizationId, Value> {
    let batch = batches.get(system);
    if (!batch) {
      const select = this.createSelect(system, columns);
      batch = new BatchedRead(this.clock, async (organizations) => {
        const parts = chunks(organizations).map((part) => select.read(padded(part)));
        const rows = (await Promise.all(parts)).flat();
        return new Map(rows.map((row) => [row.organization_id, convert(row)]));
      });
      batches.set(system, batch);
    }
    return batch;
  }

  private createSelect(
    system: AccountingSystem,
    columns: readonly string[],
  ): CompiledSelect<OrganizationId, OAuthTokenRow> {
    return new CompiledSelect(this.session, (db, organizations) =>
      db('oauth_tokens')
        .whereIn('organization_id', organizations)
        .where({ accounting_system: system, current_key: 1 })
        .select(columns),
    );
  }
}

function chunks<T>(items: T[]): T[][] {
  const count = Math.ceil(items.length / MAX_KEYS);
  return Array.from({ length: count }, (_, index) => items.slice(index * MAX_KEYS, (index + 1) * MAX_KEYS));
}

/** Repeats the last item until the length is a power of two, so that few different statements are prepared. */
function padded<T>(items: T[]): T[] {
  const length = 2 ** Math.ceil(Math.log2(items.length));
  return [...items, ...Array<T>(length - items.length).fill(items.at(-1) as T)];
}
