import type { Cluster } from './cluster.ts';
import type { Instance } from './implementation.ts';
import type { Provider } from './provider.ts';
import type { Random } from './random.ts';
import type { Recorder } from './recorder.ts';
import { DAY, HOUR, MINUTE, SECOND, type VirtualTime } from './virtual-time.ts';

const BROWSER_TIMEOUT_MS = MINUTE;
/** How often a failed request is retried. */
const RETRY_PROBABILITY = 0.7;

interface CustomerOptions {
  organizationId: string;
  time: VirtualTime;
  random: Random;
  cluster: Cluster;
  provider: Provider;
  recorder: Recorder;
}

/** An organization with its requests, and its user, who connects it and restores lost connections. */
export class Customer {
  private readonly options: CustomerOptions;
  private state: 'connected' | 'lost' | 'disconnected' = 'disconnected';
  private stateSince = 0;
  private isConnecting = false;

  constructor(options: CustomerOptions) {
    this.options = options;
  }

  /** Sends requests at about the same time. */
  sendRequests(count: number): void {
    const { time, random } = this.options;
    if (this.state === 'disconnected') return;
    for (let request = 0; request < count; request += 1) {
      time.after(random.uniform(0, 300), () => this.sendRequest());
    }
  }

  /** Connects, and retries until it succeeds. @param consentedAt when the authorization began, if not now */
  async connect(consentedAt?: number): Promise<void> {
    const { organizationId, time, random, provider, recorder } = this.options;
    if (this.isConnecting) return;
    this.isConnecting = true;
    const connectingSince = time.now;
    for (;;) {
      const code = provider.consent(organizationId, consentedAt);
      if (await this.succeeds((instance) => instance.connect(organizationId, code))) break;
      await time.sleep(random.uniform(10 * MINUTE, 3 * HOUR));
    }
    this.isConnecting = false;
    recorder.finalizeLoss(organizationId, connectingSince);
    this.setState('connected');
  }

  /** Connects an active connection again. */
  async reconnect(): Promise<void> {
    if (this.state === 'connected') await this.connect();
  }

  /** Disconnects, and connects again after a while. */
  async disconnect(pauseMs: number): Promise<void> {
    const { organizationId, time, random, recorder } = this.options;
    if (this.state !== 'connected' || this.isConnecting) return;
    recorder.trace(organizationId, 'the user disconnects');
    recorder.finalizeLoss(organizationId);
    this.setState('disconnected');
    while (!(await this.succeeds((instance) => instance.disconnect(organizationId)))) {
      await time.sleep(random.uniform(MINUTE, HOUR));
    }
    await time.sleep(pauseMs);
    await this.connect();
  }

  /** A stranger connects an organization of theirs and claims this customer's company. */
  async claimOwnCompany(stranger: string): Promise<void> {
    const { organizationId, provider } = this.options;
    const code = provider.consent(stranger);
    await this.succeeds((instance) => instance.connect(stranger, code, organizationId));
  }

  revoke(): void {
    const { organizationId, provider, recorder } = this.options;
    if (this.state !== 'connected' || this.isConnecting) return;
    if (provider.revokeByUser(organizationId)) recorder.trace(organizationId, 'the user revokes in QuickBooks');
  }

  /** The connection was lost or recovered. If it remains lost, the user connects again some days later. */
  onConnectionChange(isConnected: boolean): void {
    const { time, random } = this.options;
    if (this.state === 'disconnected') return;
    this.setState(isConnected ? 'connected' : 'lost');
    if (isConnected) return;
    const lostAt = time.now;
    time.after(random.uniform(2 * DAY, 10 * DAY), () => {
      if (this.state === 'lost' && this.stateSince === lostAt) return this.connect();
    });
  }

  /** Ends the run. */
  async finish(): Promise<void> {
    this.setState(this.state);
    if (this.state !== 'disconnected' && !this.isConnecting) {
      await this.options.recorder.finish(this.options.organizationId);
    }
  }

  private async sendRequest(): Promise<void> {
    const { organizationId, time, random, cluster, recorder } = this.options;
    recorder.failedRequests += 1; // until it succeeds: it never settles if its process ends
    try {
      await cluster.send((instance) => instance.call(organizationId));
      recorder.failedRequests -= 1;
      recorder.succeededRequests += 1;
    } catch {
      if (random.chance(RETRY_PROBABILITY)) {
        time.after(random.logUniform(SECOND / 2, MINUTE), () => this.sendRequest());
      }
    }
  }

  private async succeeds(request: (instance: Instance) => Promise<void>): Promise<boolean> {
    const { time, cluster } = this.options;
    const response = cluster.send(request).then(
      () => true,
      () => false,
    );
    return Promise.race([response, time.sleep(BROWSER_TIMEOUT_MS).then(() => false)]);
  }

  private setState(state: Customer['state']): void {
    const { time, recorder } = this.options;
    if (this.state === 'connected') recorder.connectedMs += time.now - this.stateSince;
    this.state = state;
    this.stateSince = time.now;
  }
}
