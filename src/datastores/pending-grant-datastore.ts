import type { Knex } from 'knex';
import { ConflictError, type Session } from '../db/session.ts';
import type {
  AccountingSystem,
  Connection,
  ConnectionKey,
  NewConnection,
  OrganizationId,
  RealmId,
} from '../models/connection.ts';
import type { ConnectionEvent } from '../models/connection-event.ts';
import type { CallbackOutcome, PendingGrant } from '../models/pending-grant.ts';
import type { Clock } from '../utils/clock.ts';
import type { ConnectionEventDatastore } from './connection-event-datastore.ts';
import type { OAuthStateDatastore } from './oauth-state-datastore.ts';
import type { EndedConnection, OAuthTokenDatastore } from './oauth-token-datastore.ts';
import { toGrant, toGrantRow } from './pending-grant-row.ts';
import type { PendingRevocation, PendingRevocationDatastore } from './pending-revocation-datastore.ts';
import { appendUnwantedGrant, type UnprovenConnection } from './unwanted-grants.ts';

/** The phases of a grant that may become a connection. */
const CONNECTING = ['received', 'unconfirmed'] as const;

/**
 * How a grant's move to `oauth_tokens` ended.
 * - `gone`: another process completed or ended the grant.
 * - `link_consumed`: another connection was made through its link.
 * - `superseded`: the organization's connection changed after the grant was received.
 */
export type Move = { kind: 'moved'; ended: EndedConnection } | { kind: 'gone' | 'link_consumed' | 'superseded' };

/** How a grant that becomes no connection is ended. */
export interface GrantEnd {
  /** The outcome of its callback. */
  outcome: CallbackOutcome;
  event: ConnectionEvent;
  /** Whether its grant is revoked, now or once its company is proven; not if its owner is unknown. */
  isRevoked: boolean;
}

interface Dependencies {
  session: Session;
  clock: Clock;
  tokens: OAuthTokenDatastore;
  states: OAuthStateDatastore;
  events: ConnectionEventDatastore;
  revocations: PendingRevocationDatastore;
}

/** `pending_grants`: the grants that were exchanged and are not connections yet. */
export class PendingGrantDatastore {
  private readonly session: Session;
  private readonly clock: Clock;
  private readonly tokens: OAuthTokenDatastore;
  private readonly states: OAuthStateDatastore;
  private readonly events: ConnectionEventDatastore;
  private readonly revocations: PendingRevocationDatastore;

  constructor({ session, clock, tokens, states, events, revocations }: Dependencies) {
    this.session = session;
    this.clock = clock;
    this.tokens = tokens;
    this.states = states;
    this.events = events;
    this.revocations = revocations;
  }

  /** Stores a grant. Safe to repeat after a lost response: does nothing if the grant is stored, or was completed since. */
  async insert(grant: PendingGrant): Promise<void> {
    await this.session.transaction(async (trx) => {
      if (await this.states.selectOutcome(trx, grant.stateId)) return;
      const stored = await trx('pending_grants').where('token_id', grant.tokenId).first('token_id');
      const isCompleted = await trx('oauth_tokens').where('token_id', grant.tokenId).first('token_id');
      if (!stored && !isCompleted) await trx('pending_grants').insert(toGrantRow(grant));
    });
  }

  /** Returns the organization's grant if it waits for its confirmation. */
  async findUnconfirmed(key: ConnectionKey, tokenId: string): Promise<PendingGrant | undefined> {
    return this.session.transaction(async (trx) => {
      const grants = trx('pending_grants')
        .where({ token_id: tokenId, organization_id: key.organizationId, accounting_system: key.system })
        .where({ phase: 'unconfirmed' })
        .where('confirmable_until', '>', this.clock.now());
      const row = await grants.clone().first();
      if (!row) await this.session.checkAbsence(grants);
      return row && toGrant(row);
    });
  }

  /** Makes a grant the organization's connection. @param endsIfSuperseded whether it ends if the connection changed since */
  async move(
    grant: PendingGrant,
    connection: NewConnection,
    options: { actor: string; nextMaintenanceAt: Date; endsIfSuperseded: () => boolean },
  ): Promise<Move> {
    return this.session.transaction(async (trx) => {
      const row = await trx('pending_grants').where({ token_id: grant.tokenId, phase: grant.phase }).first();
      if (!row) return { kind: 'gone' };
      if (options.endsIfSuperseded() && (await this.tokens.hasChangedSince(trx, grant, grant.createdAt))) {
        return { kind: 'superseded' };
      }
      if (grant.link && !(await this.states.consumeLink(trx, grant.link))) return { kind: 'link_consumed' };
      if (!(await this.remove(trx, grant))) throw new ConflictError();
      const { tokens } = toGrant(row); // a rotation of the keys may have replaced them since they were read
      const ended = await this.tokens.replaceCurrent(trx, { ...connection, tokens }, options);
      await this.states.setOutcome(trx, grant.stateId, { kind: 'connected' });
      return { kind: 'moved', ended };
    });
  }

  /** Makes a verified grant wait for its confirmation. False if another process completed or ended it. */
  async awaitConfirmation(grant: PendingGrant, confirmableUntil: Date): Promise<boolean> {
    const { tokenId, companyName, verifiedAt } = grant;
    return this.session.transaction(async (trx) => {
      const changed = await trx('pending_grants')
        .where({ token_id: tokenId, phase: 'received' })
        .update({
          phase: 'unconfirmed',
          company_name: companyName ?? null,
          verified_at: verifiedAt ?? null,
          confirmable_until: confirmableUntil,
          next_attempt_at: confirmableUntil,
        });
      if (changed > 0) await this.states.setOutcome(trx, grant.stateId, { kind: 'pending', tokenId });
      return changed > 0;
    });
  }

  /**
   * Ends a grant that becomes no connection. Returns the revocation to attempt now, if there is one: a grant whose
   * company is unproven is kept until the worker has proven it. `isEnded` is false if another process ended it.
   */
  async end(
    grant: PendingGrant,
    { outcome, event, isRevoked }: GrantEnd,
  ): Promise<{ isEnded: boolean; revocation?: PendingRevocation }> {
    return this.session.transaction(async (trx) => {
      const isKept = isRevoked && !grant.verifiedAt;
      const row = () => trx('pending_grants').where({ token_id: grant.tokenId, phase: grant.phase });
      const stored = await row().first();
      const unwanted = { phase: 'unwanted', next_attempt_at: this.clock.now() } as const;
      const changed = await (isKept ? row().update(unwanted) : row().delete());
      if (!stored || changed === 0) return { isEnded: false };
      await this.states.setOutcome(trx, grant.stateId, outcome);
      await this.events.append(trx, event);
      if (!isRevoked || isKept) return { isEnded: true };
      return { isEnded: true, revocation: await this.scheduleRevocation(trx, toGrant(stored)) };
    });
  }

  /**
   * True if a received grant for the company is not a connection yet: any of the organization's own, and those of others whose
   * company is proven, which wait for their confirmation.
   */
  async isBeingConnected(
    system: AccountingSystem,
    realmId: RealmId,
    organizationId: OrganizationId | undefined,
  ): Promise<boolean> {
    const row = await this.session.query((db) =>
      db('pending_grants')
        .where({ accounting_system: system, realm_id: realmId })
        .where((grants) => {
          grants.where((others) => others.where({ phase: 'unconfirmed' }).whereNotNull('verified_at'));
          if (organizationId === undefined) return;
          grants.orWhere((own) => own.where({ organization_id: organizationId }).whereIn('phase', CONNECTING));
        })
        .first('token_id'),
    );
    return row !== undefined;
  }

  /** Returns the organization's grants that were received and not completed yet. */
  async listReceived({ organizationId, system }: ConnectionKey): Promise<PendingGrant[]> {
    const rows = await this.session.query((db) =>
      db('pending_grants').where({ organization_id: organizationId, accounting_system: system, phase: 'received' }),
    );
    return rows.map(toGrant);
  }

  /**
   * Records the grant of a connection that has ended, outside of the transaction that ended it. Returns its revocation; undefined
   * if its company was never proven, so that the worker revokes it only once it is.
   */
  async recordOrphaned(
    connection: UnprovenConnection & Pick<Connection, 'lastVerifiedAt'>,
  ): Promise<PendingRevocation | undefined> {
    const { organizationId, system, realmId, tokens, lastVerifiedAt } = connection;
    if (lastVerifiedAt) {
      return this.revocations.record({ organizationId, system, realmId, refreshToken: tokens.refreshToken });
    }
    await this.session.query((db) => appendUnwantedGrant(db, connection, this.clock.now()));
    return undefined;
  }

  /** Deletes an unwanted grant, unless it got newer tokens since. Returns its revocation if its company was proven. */
  async discard(grant: PendingGrant, { isProven }: { isProven: boolean }): Promise<PendingRevocation | undefined> {
    return this.session.transaction(async (trx) => {
      const { tokenId, phase, tokens } = grant;
      const unchanged = { token_id: tokenId, phase, token_digest: tokens.digest };
      const removed = await trx('pending_grants').where(unchanged).delete();
      return removed > 0 && isProven ? this.scheduleRevocation(trx, grant) : undefined;
    });
  }

  /** Deletes an ended connection's unwanted grant, which remains alive at the provider. */
  async deleteUnwanted(tokenId: string | undefined): Promise<void> {
    if (tokenId === undefined) return;
    await this.session.query((db) => db('pending_grants').where({ token_id: tokenId, phase: 'unwanted' }).delete());
  }

  /** Returns the grants that are due, the earliest first. */
  async listDue(systems: AccountingSystem[], limit: number): Promise<PendingGrant[]> {
    const rows = await this.session.query((db) =>
      db('pending_grants')
        .where('next_attempt_at', '<=', this.clock.now())
        .whereIn('accounting_system', systems)
        .orderBy('next_attempt_at')
        .limit(limit),
    );
    return rows.map(toGrant);
  }

  /** Acquires the right to complete or end a grant until an instant. Returns undefined if another worker has it. */
  async claim(grant: PendingGrant, until: Date): Promise<PendingGrant | undefined> {
    const changed = await this.session.query((db) =>
      db('pending_grants')
        .where({ token_id: grant.tokenId, phase: grant.phase, next_attempt_at: grant.nextAttemptAt })
        .update({ next_attempt_at: until }),
    );
    return changed > 0 ? { ...grant, nextAttemptAt: until } : undefined;
  }

  private async remove(trx: Knex.Transaction, { tokenId, phase }: PendingGrant): Promise<boolean> {
    return (await trx('pending_grants').where({ token_id: tokenId, phase }).delete()) > 0;
  }

  private scheduleRevocation(trx: Knex.Transaction, { organizationId, system, realmId, tokens }: PendingGrant) {
    const grant = { organizationId, system, realmId, refreshToken: tokens.refreshToken };
    return this.revocations.append(trx, grant);
  }
}
