import type { ConnectionEvent } from '../models/connection-event.ts';
import type { Logger } from './logger.ts';

const WARNINGS = ['lost', 'refresh_failing'];

/** Writes the line of one event in a connection's life. */
export function logEvent(logger: Logger, event: ConnectionEvent): void {
  const { type, organizationId, system, realmId, actor, reason, intuitTid } = event;
  const context = { organization_id: organizationId, accounting_system: system, realm_id: realmId };
  const level = WARNINGS.includes(type) ? 'warn' : 'info';
  logger[level](
    { event: `connection.${type}`, ...context, actor, reason, intuit_tid: intuitTid },
    `connection.${type}`,
  );
}
