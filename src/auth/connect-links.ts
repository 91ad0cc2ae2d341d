import { randomBytes } from 'node:crypto';
import { open, sign } from '../crypto/signed-payload.ts';
import { AppError } from '../errors.ts';
import type { AccountingSystem, ConnectionKey, OrganizationId, RealmId } from '../models/connection.ts';
import type { FlowOptions } from '../models/pending-grant.ts';
import type { Clock } from '../utils/clock.ts';

const PURPOSE = 'connect-link';

/** What a link contains: which organization it connects and how, and who created it. */
export interface ConnectLink extends ConnectionKey, Pick<FlowOptions, 'returnUrl' | 'pinnedRealmId'> {
  id: string;
  actor: string;
  expiresAt: Date;
}

/** What the creator of a link may choose. */
export interface LinkOptions extends Pick<FlowOptions, 'returnUrl' | 'pinnedRealmId'> {
  lifetimeMs: number;
}

interface Payload {
  id: string;
  organization: OrganizationId;
  system: AccountingSystem;
  actor: string;
  /** Milliseconds since 1970. */
  expires: number;
  returnUrl?: string | undefined;
  /** The only company that the link connects. */
  company?: RealmId | undefined;
}

/** Issues and verifies the links that let a browser without credentials start a connection, and do nothing else. */
export class ConnectLinks {
  private readonly secrets: readonly string[];
  private readonly clock: Clock;

  constructor(secrets: readonly string[], clock: Clock) {
    this.secrets = secrets;
    this.clock = clock;
  }

  issue(
    { organizationId, system }: ConnectionKey,
    actor: string,
    { lifetimeMs, returnUrl, pinnedRealmId }: LinkOptions,
  ): { link: string; expiresAt: Date } {
    const expires = this.clock.now().getTime() + lifetimeMs;
    const payload: Payload = {
      id: randomBytes(16).toString('base64url'),
      organization: organizationId,
      system,
      actor,
      expires,
      returnUrl,
      company: pinnedRealmId,
    };
    return { link: sign(PURPOSE, payload, this.secrets[0] ?? ''), expiresAt: new Date(expires) };
  }

  /** @throws AppError `unauthorized` if it is altered, expired or for another accounting system. */
  verify(link: string, system: AccountingSystem): ConnectLink {
    const content = this.read(link, system);
    if (!content || content.expiresAt <= this.clock.now()) throw linkRejected();
    return content;
  }

  /** Returns what a link of this service contains, expired or not; undefined for any other text. */
  read(link: unknown, system: AccountingSystem): ConnectLink | undefined {
    const payload = typeof link === 'string' ? open<Payload>(PURPOSE, link, this.secrets) : undefined;
    if (payload?.system !== system) return undefined;
    const { id, organization, actor, expires, returnUrl, company } = payload;
    const expiresAt = new Date(expires);
    return { id, organizationId: organization, system, actor, expiresAt, returnUrl, pinnedRealmId: company };
  }
}

/** The error for a link that cannot be used. */
export function linkRejected(): AppError {
  return new AppError('unauthorized', {
    detail: 'This link has expired or was already used. Please ask for a new one.',
  });
}
