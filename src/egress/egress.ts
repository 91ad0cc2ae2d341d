import { buildConnector } from 'undici';
import type { EgressConfig, ProxyConfig } from '../config/proxy-url.ts';
import { isLoopback } from '../config/variable-types.ts';
import type { Clock } from '../utils/clock.ts';
import { isListed } from './no-proxy.ts';
import { connectThrough } from './tunnel.ts';

/**
 * Decides how connections to each origin are opened: directly, or through a proxy. As connectors, not as undici's ProxyAgent:
 * their callers learn when a connection is ready for the request, and why one is not.
 */
export class Egress {
  private readonly settings: EgressConfig;
  private readonly clock: Clock;

  constructor(settings: EgressConfig, clock: Clock) {
    this.settings = settings;
    this.clock = clock;
  }

  /**
   * Returns what undici opens connections to an origin with. A connection is ready after the TLS handshake with the origin,
   * also through a proxy; no byte of a request is sent before that.
   * @param timeoutMs for all of it, in milliseconds
   */
  connector(origin: string, timeoutMs: number): buildConnector.connector {
    const direct = buildConnector({ timeout: timeoutMs });
    const proxy = this.proxyOf(new URL(origin));
    if (!proxy) return direct;
    return (target, callback) => {
      connectThrough({ proxy, target, secure: direct, timeoutMs, clock: this.clock }).then(
        (socket) => callback(null, socket),
        (error) => callback(error, null),
      );
    };
  }

  /** Loopback means this machine, which no proxy can reach. */
  private proxyOf({ protocol, hostname, port }: URL): ProxyConfig | undefined {
    const { httpProxy, httpsProxy, noProxy } = this.settings;
    const proxy = protocol === 'https:' ? httpsProxy : httpProxy;
    if (!proxy || isLoopback(hostname)) return undefined;
    const usedPort = Number(port || (protocol === 'https:' ? 443 : 80));
    return isListed(hostname, usedPort, noProxy) ? undefined : proxy;
  }
}
