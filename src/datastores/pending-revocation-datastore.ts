import { randomUUID } from 'node:crypto';
import type { Knex } from 'knex';
import type { Session } from '../db/session.ts';
import type { PendingRevocationRow } from '../db/tables.ts';
import type { AccountingSystem, Ciphertext } from '../models/connection.ts';

/** A grant that is to be revoked. */
export interface PendingRevocation {
  revocationId: string;
  system: AccountingSystem;
  realmId: string;
  refreshToken: Ciphertext;
  failures: number;
  nextAttemptAt: Date;
  createdAt: Date;
}

/** `pending_revocations`: the grants that are still to be revoked. */
export class PendingRevocationDatastore {
  constructor(
    private readonly session: Session,
    private readonly now: () => Date,
  ) {}

  /** Notes a grant that no other change belongs to. @param nextAttemptAt when the worker may try: whoever notes it tries first */
  async record(grant: Pick<PendingRevocation, 'system' | 'realmId' | 'refreshToken'>, nextAttemptAt: Date) {
    return this.session.query((db) => this.append(db, grant, nextAttemptAt));
  }

  /** Notes a grant in the transaction that ends its connection. */
  async append(
    db: Knex,
    { system, realmId, refreshToken }: Pick<PendingRevocation, 'system' | 'realmId' | 'refreshToken'>,
    nextAttemptAt: Date,
  ): Promise<PendingRevocation> {
    const revocation = { revocationId: randomUUID(), system, realmId, refreshToken, failures: 0 };
    await db('pending_revocations').insert({
      revocation_id: revocation.revocationId,
      accounting_system: system,
      realm_id: realmId,
      refresh_token: refreshToken,
      next_attempt_at: nextAttemptAt,
      created_at: this.now(),
    });
    return { ...revocation, nextAttemptAt, createdAt: this.now() };
  }

  async listDue(now: Date, most: number): Promise<PendingRevocation[]> {
    const rows = await this.session.query((db) =>
      db('pending_revocations').where('next_attempt_at', '<=', now).orderBy('next_attempt_at').limit(most),
    );
    return rows.map(toRevocation);
  }

  /** Takes the right to try until an instant. Undefined where somebody else has it. */
  async claim(revocation: PendingRevocation, until: Date): Promise<PendingRevocation | undefined> {
    const { revocationId, nextAttemptAt } = revocation;
    const changed = await this.session.query((db) =>
      db('pending_revocations')
        .where({ revocation_id: revocationId, next_attempt_at: nextAttemptAt })
        .update({ next_attempt_at: until }),
    );
    return changed > 0 ? { ...revocation, nextAttemptAt: until } : undefined;
  }

  async postpone({ revocationId, failures }: PendingRevocation, until: Date): Promise<void> {
    await this.session.query((db) =>
      db('pending_revocations')
        .where('revocation_id', revocationId)
        .update({ failures: failures + 1, next_attempt_at: until }),
    );
  }

  /** Moves all that is noted for a company to an instant at the soonest. */
  async postponeAll(realmId: string, system: AccountingSystem, until: Date): Promise<void> {
    await this.session.query((db) =>
      db('pending_revocations')
        .where({ realm_id: realmId, accounting_system: system })
        .where('next_attempt_at', '<', until)
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
    system: row.accounting_system,
    realmId: row.realm_id,
    refreshToken: row.refresh_token,
    failures: row.failures,
    nextAttemptAt: new Date(row.next_attempt_at),
    createdAt: new Date(row.created_at),
  };
}
