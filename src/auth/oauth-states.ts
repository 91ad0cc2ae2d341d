import { createHash, randomBytes } from 'node:crypto';
import { isEqual, open, sign } from '../crypto/signed-payload.ts';
import { AppError } from '../errors.ts';
import type { AccountingSystem } from '../models/connection.ts';

/** How long a person may take on the provider's consent page. */
export const STATE_LIFETIME_MS = 10 * 60_000;

const PURPOSE = 'oauth-state';
const RANDOM_BYTES = 16;

/** What a state says: whose flow it is, who asked for it, and until when it is good. */
export interface OAuthState {
  id: string;
  organizationId: string;
  system: AccountingSystem;
  actor: string;
  expiresAt: Date;
}

interface Payload {
  id: string;
  organization: string;
  system: AccountingSystem;
  actor: string;
  /** Milliseconds since 1970. */
  expires: number;
  /** SHA-256 of the browser's secret. */
  browser: string;
}

/**
 * Makes and checks the `state` parameter, RFC 6749 §10.12. The first secret signs, all verify.
 * That a state is used once is the datastore's part.
 */
export class OAuthStates {
  constructor(
    private readonly secrets: readonly string[],
    private readonly now: () => Date,
  ) {}

  /** A new state, and the secret that belongs into the browser's cookie. */
  issue(organizationId: string, system: AccountingSystem, actor: string): { state: string; browserSecret: string } {
    const browserSecret = randomBytes(RANDOM_BYTES).toString('base64url');
    const payload: Payload = {
      id: randomBytes(RANDOM_BYTES).toString('base64url'),
      organization: organizationId,
      system,
      actor,
      expires: this.now().getTime() + STATE_LIFETIME_MS,
      browser: sha256(browserSecret),
    };
    return { state: sign(PURPOSE, payload, this.secrets[0] ?? ''), browserSecret };
  }

  /** @throws AppError `invalid_state` where it is forged, expired or another browser's, judged in this order. */
  verify(state: string, browserSecret: string | undefined): OAuthState {
    const payload = open<Payload>(PURPOSE, state, this.secrets);
    if (!payload) throw invalid('This sign-in was not started here.');
    if (payload.expires <= this.now().getTime()) throw invalid('This sign-in took too long and has expired.');
    if (browserSecret === undefined || !isEqual(sha256(browserSecret), payload.browser)) {
      throw invalid('This sign-in was started in another browser.');
    }
    const { id, organization, system, actor, expires } = payload;
    return { id, organizationId: organization, system, actor, expiresAt: new Date(expires) };
  }
}

function invalid(what: string): AppError {
  return new AppError('invalid_state', `${what} Please start connecting again.`);
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}
