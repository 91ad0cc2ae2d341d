import { open, sign } from '../crypto/signed-payload.ts';
import { AppError } from '../errors.ts';
import type { AccountingSystem, ConnectionKey, OrganizationId } from '../models/connection.ts';

const PURPOSE = 'confirmation';

interface Payload {
  /** The ID of the pending grant. */
  id: string;
  organization: OrganizationId;
  system: AccountingSystem;
}

/**
 * Issues and verifies the codes with which a frontend confirms a connection. They are derived from the pending grant, so
 * that none is stored; its row decides whether one can still be used.
 */
export class Confirmations {
  private readonly secrets: readonly string[];

  /** @param secrets the first signs, all verify */
  constructor(secrets: readonly string[]) {
    this.secrets = secrets;
  }

  issue({ organizationId, system }: ConnectionKey, tokenId: string): string {
    const payload: Payload = { id: tokenId, organization: organizationId, system };
    return sign(PURPOSE, payload, this.secrets[0] ?? '');
  }

  /** Returns the ID of the pending grant. @throws AppError `invalid_confirmation` */
  verify(confirmation: string, { organizationId, system }: ConnectionKey): string {
    const payload = open<Payload>(PURPOSE, confirmation, this.secrets);
    if (payload?.organization !== organizationId || payload.system !== system) {
      throw new AppError('invalid_confirmation');
    }
    return payload.id;
  }
}
