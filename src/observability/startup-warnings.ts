import type { Config } from '../config/config.ts';
import type { Logger } from './logger.ts';

/** Warns at startup about settings that are allowed but dangerous. */
export function logStartupWarnings(
  { production, database, callers, connectConfirmation }: Config,
  logger: Logger,
): void {
  if (production && database.client === 'sqlite') {
    logger.warn('SQLite supports only one replica: use MySQL for more');
  }
  if (callers.disabled) {
    logger.warn('AUTH_DISABLED IS TRUE: ANYONE WHO CAN REACH THIS SERVICE CAN ACT FOR EVERY ORGANIZATION');
  }
  if (connectConfirmation && callers.apiKeys.length === 0 && !callers.jwt) {
    logger.warn('CONNECT_CONFIRMATION proves nothing without credentials: anyone can confirm any connection');
  }
  if (!production && callers.apiKeys.length === 0 && !callers.jwt) {
    logger.warn('no API_KEYS or AUTH_JWKS_URL is set, as development permits: anyone on this machine can call');
  }
}
