import { isLoopback } from '../config/variable-types.ts';
import { AppError } from '../errors.ts';

/**
 * Accepts only requests to the service's own host name or to loopback. Without credentials a foreign page could otherwise
 * call the service through a host name of its own that resolves to this address.
 * @param publicUrls the service's own addresses
 */
export function createHostCheck(publicUrls: readonly string[]): (host: string | undefined) => void {
  const own = publicUrls.map((url) => new URL(url).hostname);
  return (host) => {
    const name = hostnameOf(host);
    if (name !== undefined && (own.includes(name) || isLoopback(name))) return;
    throw new AppError('forbidden', {
      detail: 'Without credentials, this service is called by its own host name only.',
    });
  };
}

/** The name in a `Host` header, without the port. */
function hostnameOf(host = ''): string | undefined {
  const isHost = /^[^\s/?#@\\]+$/.test(host) && URL.canParse(`http://${host}`);
  return isHost ? new URL(`http://${host}`).hostname : undefined;
}
