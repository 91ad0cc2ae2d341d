import { InvalidFernetToken } from '../crypto/fernet.ts';
import { TokenBindingError } from '../crypto/token-cipher.ts';
import { hasCode } from '../errors.ts';

/** Why one connection could not be worked on: its stored tokens are damaged, or an internal fault. */
export type ConnectionFault = 'damaged' | 'internal_error';

/** Returns the fault of one connection, which is no reason not to work on the others. @throws the error, if it concerns all */
export function toConnectionFault(error: unknown): ConnectionFault {
  if (hasCode(error, 'service_unavailable')) throw error;
  return error instanceof TokenBindingError || error instanceof InvalidFernetToken ? 'damaged' : 'internal_error';
}
