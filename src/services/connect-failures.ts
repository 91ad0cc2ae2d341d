import { createHash } from 'node:crypto';
import type { OAuthState } from '../auth/oauth-states.ts';
import type { ConnectionEventDatastore } from '../datastores/connection-event-datastore.ts';
import type { OAuthStateDatastore } from '../datastores/oauth-state-datastore.ts';
import { AppError } from '../errors.ts';
import { logEvent } from '../observability/event-log.ts';
import type { Logger } from '../observability/logger.ts';

interface Dependencies {
  events: ConnectionEventDatastore;
  consumedStates: OAuthStateDatastore;
  logger: Logger;
}

/** Records the callbacks that ended in an error, as `connect_failed`. The caller receives the error even if that fails. */
export class ConnectFailures {
  private readonly events: ConnectionEventDatastore;
  private readonly consumedStates: OAuthStateDatastore;
  private readonly logger: Logger;

  constructor({ events, consumedStates, logger }: Dependencies) {
    this.events = events;
    this.consumedStates = consumedStates;
    this.logger = logger;
  }

  /**
   * Records a callback whose state was not consumed: once for each state, since anyone who has seen one can send it again.
   * @param issued undefined if this service did not issue the state
   */
  async record(issued: OAuthState | undefined, error: unknown): Promise<void> {
    if (!issued) return;
    const event = toEvent(issued, error);
    await this.attempt(issued, async () => {
      if (await this.events.record(event, eventIdOf(issued))) logEvent(this.logger, event);
    });
  }

  /** Records a callback whose state was consumed, with the outcome that a repetition gets, unless it has one. */
  async end(state: OAuthState, error: unknown): Promise<void> {
    const event = toEvent(state, error);
    await this.attempt(state, async () => {
      const isFirst = await this.consumedStates.end(state.id, { kind: 'failed', code: codeOf(error) }, event);
      if (isFirst) logEvent(this.logger, event);
    });
  }

  private async attempt({ organizationId }: OAuthState, record: () => Promise<void>): Promise<void> {
    try {
      await record();
    } catch (err) {
      const event = 'connect.failure_not_recorded';
      this.logger.warn({ event, organization_id: organizationId, err }, event);
    }
  }
}

/** An event ID that the state determines, in the form of a UUID. */
function eventIdOf({ id }: OAuthState): string {
  const digest = createHash('sha256').update(`connect_failed ${id}`).digest('hex');
  return digest.slice(0, 32).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function toEvent({ organizationId, system, actor }: OAuthState, error: unknown) {
  return { organizationId, system, type: 'connect_failed', reason: codeOf(error), actor } as const;
}

function codeOf(error: unknown) {
  return error instanceof AppError ? error.code : 'internal_error';
}
