import type { HealthDatastore } from '../datastores/health-datastore.ts';
import type { Ciphertext } from '../models/connection.ts';
import type { Clock } from '../utils/clock.ts';
import type { Metrics } from './metrics.ts';

/** A key that was valid is not tried again for this long. */
const VALID_MS = 30_000;

interface Dependencies {
  database: Pick<HealthDatastore, 'sampleTokens'>;
  cipher: { decrypt(ciphertext: Ciphertext): unknown; isCurrent(ciphertext: Ciphertext): boolean };
  metrics: Pick<Metrics, 'encryptionKeyValid'>;
  clock: Clock;
}

/** Tries `ENCRYPTION_KEY` on stored tokens. */
export class EncryptionKeyCheck {
  private readonly database: Dependencies['database'];
  private readonly cipher: Dependencies['cipher'];
  private readonly metrics: Dependencies['metrics'];
  private readonly clock: Clock;
  private validUntil = Number.NEGATIVE_INFINITY;

  constructor({ database, cipher, metrics, clock }: Dependencies) {
    this.database = database;
    this.cipher = cipher;
    this.metrics = metrics;
    this.clock = clock;
  }

  /**
   * False if the key is wrong: a token that was damaged is no proof against it, but a group of which no token can be
   * decrypted is. @throws AppError `service_unavailable`
   */
  async isValid(): Promise<boolean> {
    if (this.clock.monotonicMs() < this.validUntil) return true;
    const groups = await this.database.sampleTokens();
    const isValid = groups.every((tokens) => tokens.length === 0 || tokens.some((token) => this.canDecrypt(token)));
    this.metrics.encryptionKeyValid.set(isValid ? 1 : 0);
    if (isValid) this.validUntil = this.clock.monotonicMs() + VALID_MS;
    return isValid;
  }

  /**
   * False if tokens are stored, but the first key encrypted none of those that are tried: other processes may not have this
   * key. @throws AppError `service_unavailable`
   */
  async isFirstKeyInUse(): Promise<boolean> {
    const tokens = (await this.database.sampleTokens()).flat();
    return tokens.length === 0 || tokens.some((token) => this.cipher.isCurrent(token));
  }

  private canDecrypt(token: Ciphertext): boolean {
    try {
      this.cipher.decrypt(token);
      return true;
    } catch {
      return false;
    }
  }
}
