import type { Knex } from 'knex';
import type { ConnectionEventDatastore } from '../../src/datastores/connection-event-datastore.ts';
import type { ConnectionEvent } from '../../src/models/connection-event.ts';
import type { Logger } from '../../src/observability/logger.ts';
import type { Ledger } from './ledger.ts';
import type { Replica } from './replica.ts';

/** Tells the ledger of each event that is recorded. */
export function observeEvents(
  events: ConnectionEventDatastore,
  ledger: Ledger,
  replica: Replica,
): ConnectionEventDatastore {
  const append = events.append.bind(events);
  events.append = async (trx: Knex.Transaction, event: ConnectionEvent) => {
    await append(trx, event);
    const { organizationId, type, reason } = event;
    ledger.note(organizationId, `${replica.name} event ${type} ${reason ?? ''}`);
    if (type === 'lost') ledger.lost(organizationId, reason);
    if (type === 'recovered') ledger.recovered(organizationId);
  };
  return events;
}

/** A logger that keeps errors alone: each is a fault of the service's own. */
export function quietLogger(ledger: Ledger, replica: Replica): Logger {
  const nothing = () => undefined;
  const error = (facts: { err?: unknown }, message: string) => {
    ledger.errors.push(`${replica.name}: ${message} ${String((facts.err as Error)?.stack ?? JSON.stringify(facts))}`);
  };
  return { debug: nothing, info: nothing, warn: nothing, error } as unknown as Logger;
}
