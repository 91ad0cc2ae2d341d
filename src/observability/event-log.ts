import type { ConnectionEvent } from '../models/connection-event.ts';
import type { Logger } from './logger.ts';

const BAD_NEWS = ['lost', 'refresh_failing'];

/** One line for each event of a connection's life. */
export function logEvent(logger: Logger, event: ConnectionEvent): void {
  const { type, organizationId, realmId, actor, reason, intuitTid } = event;
  const company = { organization_id: organizationId, realm_id: realmId };
  const level = BAD_NEWS.includes(type) ? 'warn' : 'info';
  logger[level]({ event: type, ...company, actor, reason, intuit_tid: intuitTid }, type);
}
