import { randomBytes } from 'node:crypto';
import { open, sign } from '../crypto/signed-payload.ts';
import { AppError } from '../errors.ts';
import type { AccountingSystem, ConnectionKey, OrganizationId } from '../models/connection.ts';
import type { Clock } from '../utils/clock.ts';

/** How long a link is valid. */
const LINK_LIFETIME_MS = 5 * 60_000;

const PURPOSE = 'connect-link';

/** What a link contains: which organization it connects, and who created it. */
export interface ConnectLink extends ConnectionKey {
  id: string;
  actor: string;
  expiresAt: Date;
}

interface Payload {
  id: string;
  organization: OrganizationId;
  system: AccountingSystem;
  actor: string;
  /** Milliseconds since 1970. */
  expires: number;
}

/** Issues and verifies the links that let a browser without credentials start a connection, and do nothing else. */
export class ConnectLinks {
  private readonly secrets: readonly string[];
  private readonly clock: Clock;

  constructor(secrets: readonly string[], clock: Clock) {
    this.secrets = secrets;
    this.clock = clock;
  }

  issue({ organizationId, system }: ConnectionKey, actor: string): { link: string; expiresAt: Date } {
    const expires = this.clock.now().getTime() + LINK_LIFETIME_MS;
    const payload: Payload = {
      id: randomBytes(16).toString('base64url'),
      organization: organizationId,
      system,
      actor,
      expires,
    };
    return { link: sign(PURPOSE, payload, this.secrets[0] ?? ''), expiresAt: new Date(expires) };
  }

  /** @throws AppError `unauthorized` if it is altered, expired or for another accounting system. */
  verify(link: string, system: AccountingSystem): ConnectLink {
    const payload = open<Payload>(PURPOSE, link, this.secrets);
    if (payload?.system !== system || payload.expires <= this.clock.now().getTime()) throw linkRejected();
    const { id, organization, actor, expires } = payload;
    return { id, organizationId: organization, system, actor, expiresAt: new Date(expires) };
  }
}

/** The error for a link that cannot be used. */
export function linkRejected(): AppError {
  return new AppError('unauthorized', {
    detail: 'This link has expired or was already used. Please ask for a new one.',
  });
}
