import { randomUUID } from 'node:crypto';
import type { Knex } from 'knex';
import type { Session } from '../db/session.ts';
import type { PendingRevocationRow } from '../db/tables.ts';
import type { AccountingSystem, Ciphertext, OrganizationId, RealmId } from '../models/connection.ts';
import { type Clock, fromNow } from '../utils/clock.ts';

/** When the worker attempts a revocation by default: the process that recorded it attempts it first. */
const HEAD_START_MS = 60_000;

/** A grant that no connection needs any more. */
export interface Grant {
  /** The organization that it was made for; absent if the grant was recorded by an older version. */
  organizationId: OrganizationId | undefined;
  system: AccountingSystem;
  /** Absent if it is not known which company it is for. */
  realmId: RealmId | undefined;
  refreshToken: Ciphertext;
}

/** A grant that is to be revoked. */
export interface PendingRevocation extends Grant {
  revocationId: string;
  attempts: number;
  nextAttemptAt: Date;
  createdAt: Date;
}

interface Deferral {
  system: AccountingSystem;
  realmId: RealmId;
  until: Date;
  createdAfter: Date;
}

/** `pending_revocations`: the outbox of grants to be revoked. */
export class PendingRevocationDatastore {
  private readonly session: Session;
  private readonly clock: Clock;

  constructor({ session, clock }: { session: Session; clock: Clock }) {
    this.session = session;
    this.clock = clock;
  }

  /** Records a grant that belongs to no other change. @param nextAttemptAt when the worker attempts it */
  async record(grant: Grant, nextAttemptAt?: Date): Promise<PendingRevocation> {
    return this.session.query((db) => this.append(db, grant, nextAttemptAt));
  }

  /** Records a grant in the transaction that ends its connection. @param nextAttemptAt when the worker attempts it */
  async append(
    db: Knex,
    { organizationId, system, realmId, refreshToken }: Grant,
    nextAttemptAt = fromNow(this.clock, HEAD_START_MS),
  ): Promise<PendingRevocation> {
    const revocation = {
      revocationId: randomUUID(),
      organizationId,
      system,
      realmId,
      refreshToken,
      attempts: 0,
      nextAttemptAt,
      createdAt: this.clock.now(),
    };
    await db('pending_revocations').insert({
      revocation_id: revocation.revocationId,
      accounting_system: system,
      realm_id: realmId ?? null,
      organization_id: organizationId ?? null,
      refresh_token: refreshToken,
      next_attempt_at: nextAttemptAt,
      created_at: revocation.createdAt,
    });
    return revocation;
  }

  /** Returns the revocations that are due, the earliest first. */
  async listDue(systems: AccountingSystem[], limit: number): Promise<PendingRevocation[]> {
    const rows = await this.session.query((db) =>
      db('pending_revocations')
        .where('next_attempt_at', '<=', this.clock.now())
        .whereIn('accounting_system', systems)
        .orderBy('next_attempt_at')
        .limit(limit),
    );
    return rows.map(toRevocation);
  }

  /** Returns a company's revocations, due or not. */
  async listOfCompany(system: AccountingSystem, realmId: RealmId): Promise<PendingRevocation[]> {
    const rows = await this.session.query((db) =>
      db('pending_revocations').where({ realm_id: realmId, accounting_system: system }),
    );
    return rows.map(toRevocation);
  }

  /** Acquires the right to attempt it until an instant. Returns undefined if another worker has it. */
  async claim(revocation: PendingRevocation, until: Date): Promise<PendingRevocation | undefined> {
    const { revocationId, nextAttemptAt } = revocation;
    const changed = await this.session.query((db) =>
      db('pending_revocations')
        .where({ revocation_id: revocationId, next_attempt_at: nextAttemptAt })
        .update({ next_attempt_at: until }),
    );
    return changed > 0 ? { ...revocation, nextAttemptAt: until } : undefined;
  }

  async postpone({ revocationId, attempts }: PendingRevocation, until: Date): Promise<void> {
    await this.session.query((db) =>
      db('pending_revocations')
        .where('revocation_id', revocationId)
        .update({ attempts: attempts + 1, next_attempt_at: until }),
    );
  }

  /** Moves it to an instant without an attempt. */
  async defer({ revocationId }: PendingRevocation, until: Date): Promise<void> {
    await this.session.query((db) =>
      db('pending_revocations').where('revocation_id', revocationId).update({ next_attempt_at: until }),
    );
  }

  /** Moves the revocations of a company that are not older than `createdAfter` to this instant or later. */
  async deferCompany({ system, realmId, until, createdAfter }: Deferral): Promise<void> {
    await this.session.query((db) =>
      db('pending_revocations')
        .where({ realm_id: realmId, accounting_system: system })
        .where('next_attempt_at', '<', until)
        .where('created_at', '>', createdAfter)
        .update({ next_attempt_at: until }),
    );
  }

  async delete({ revocationId }: PendingRevocation): Promise<void> {
    await this.session.query((db) => db('pending_revocations').where('revocation_id', revocationId).delete());
  }
}

function toRevocation(row: PendingRevocationRow): PendingRevocation {
  return {
    revocationId: row.revocation_id,
    organizationId: row.organization_id ?? undefined,
    system: row.accounting_system,
    realmId: row.realm_id ?? undefined,
    refreshToken: row.refresh_token,
    attempts: row.attempts,
    nextAttemptAt: new Date(row.next_attempt_at),
    createdAt: new Date(row.created_at),
  };
}
