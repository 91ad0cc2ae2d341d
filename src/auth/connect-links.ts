import { randomBytes } from 'node:crypto';
import { open, sign } from '../crypto/signed-payload.ts';
import { AppError } from '../errors.ts';

/** How long a link may wait to be opened. */
const LINK_LIFETIME_MS = 5 * 60_000;

const PURPOSE = 'connect-link';

/** What a link says: which organization it connects, and who asked for it. */
export interface ConnectLink {
  id: string;
  organizationId: string;
  actor: string;
  expiresAt: Date;
}

interface Payload {
  id: string;
  organization: string;
  actor: string;
  /** Milliseconds since 1970. */
  expires: number;
}

/** Makes and checks the links that let a browser without credentials begin a connection, and do nothing else. */
export class ConnectLinks {
  constructor(
    private readonly secrets: readonly string[],
    private readonly now: () => Date,
  ) {}

  issue(organizationId: string, actor: string): { link: string; expiresAt: Date } {
    const expires = this.now().getTime() + LINK_LIFETIME_MS;
    const payload: Payload = {
      id: randomBytes(16).toString('base64url'),
      organization: organizationId,
      actor,
      expires,
    };
    return { link: sign(PURPOSE, payload, this.secrets[0] ?? ''), expiresAt: new Date(expires) };
  }

  /** @throws AppError `unauthorized` where it is altered or expired. */
  verify(link: string): ConnectLink {
    const payload = open<Payload>(PURPOSE, link, this.secrets);
    if (!payload || payload.expires <= this.now().getTime()) throw linkRefused();
    const { id, organization, actor, expires } = payload;
    return { id, organizationId: organization, actor, expiresAt: new Date(expires) };
  }
}

/** What a link that opens nothing is answered. */
export function linkRefused(): AppError {
  return new AppError('unauthorized', 'This link has expired or was already used. Please ask for a new one.');
}
