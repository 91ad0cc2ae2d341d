import { createHash, randomBytes } from 'node:crypto';
import { isEqual, open, sign } from '../crypto/signed-payload.ts';
import { AppError } from '../errors.ts';
import type { AccountingSystem, ConnectionKey, OrganizationId, RealmId } from '../models/connection.ts';
import type { FlowOptions } from '../models/pending-grant.ts';
import type { Clock } from '../utils/clock.ts';

/** How long a user may take on the provider's consent page. */
export const STATE_LIFETIME_MS = 10 * 60_000;

const PURPOSE = 'oauth-state';
const RANDOM_BYTES = 16;

/** What a state contains: whose flow it is, who started it and how, and when it expires. */
export interface OAuthState extends ConnectionKey, FlowOptions {
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
  /** SHA-256 of the browser's secret. */
  browser: string;
  returnUrl?: string | undefined;
  /** The only company that the flow may connect. */
  company?: RealmId | undefined;
  /** The link that the flow was started with. */
  link?: { id: string; expires: number } | undefined;
}

/**
 * Issues and verifies the `state` parameter, RFC 6749 §10.12. The first secret signs, all verify.
 * The datastore makes it single-use.
 */
export class OAuthStates {
  private readonly secrets: readonly string[];
  private readonly clock: Clock;

  constructor(secrets: readonly string[], clock: Clock) {
    this.secrets = secrets;
    this.clock = clock;
  }

  /** Returns a new state, and the secret for the browser's cookie. */
  issue(
    { organizationId, system }: ConnectionKey,
    actor: string,
    { returnUrl, pinnedRealmId, link }: FlowOptions = {},
  ): { state: string; browserSecret: string } {
    const browserSecret = randomBytes(RANDOM_BYTES).toString('base64url');
    const payload: Payload = {
      id: randomBytes(RANDOM_BYTES).toString('base64url'),
      organization: organizationId,
      system,
      actor,
      expires: this.clock.now().getTime() + STATE_LIFETIME_MS,
      browser: sha256(browserSecret),
      returnUrl,
      company: pinnedRealmId,
      link: link && { id: link.id, expires: link.expiresAt.getTime() },
    };
    return { state: sign(PURPOSE, payload, this.secrets[0] ?? ''), browserSecret };
  }

  /**
   * Checks, in this order, the signature, the expiry and the browser.
   * @throws AppError `invalid_state`
   */
  verify(state: string, expected: { system: AccountingSystem; browserSecret: string | undefined }): OAuthState {
    const payload = this.open(state, expected.system);
    if (!payload) throw invalidState('not_issued', 'This sign-in was not started by this service.');
    if (payload.expires <= this.clock.now().getTime()) throw invalidState('expired', 'This sign-in has expired.');
    const { browserSecret } = expected;
    if (browserSecret === undefined || !isEqual(sha256(browserSecret), payload.browser)) {
      throw invalidState('other_browser', 'This sign-in was started in another browser.');
    }
    return toState(payload);
  }

  /** Returns what a state of this service contains, expired or not; undefined for any other text. Proves nothing about the browser. */
  read(state: unknown, system: AccountingSystem): OAuthState | undefined {
    const payload = typeof state === 'string' ? this.open(state, system) : undefined;
    return payload && toState(payload);
  }

  private open(state: string, system: AccountingSystem): Payload | undefined {
    const payload = open<Payload>(PURPOSE, state, this.secrets);
    return payload?.system === system ? payload : undefined;
  }
}

function toState({ id, organization, system, actor, expires, returnUrl, company, link }: Payload): OAuthState {
  return {
    id,
    organizationId: organization,
    system,
    actor,
    expiresAt: new Date(expires),
    returnUrl,
    pinnedRealmId: company,
    link: link && { id: link.id, expiresAt: new Date(link.expires) },
  };
}

function invalidState(reason: string, detail: string): AppError {
  return new AppError('invalid_state', { reason, detail: `${detail} Please start connecting again.` });
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}
