import type { Fleet } from './fleet.ts';
import type { Ledger } from './ledger.ts';
import type { Provider } from './provider.ts';
import type { Random } from './random.ts';
import { DAY, HOUR, MINUTE, SECOND, type VirtualTime } from './virtual-time.ts';

/** How long a browser waits for its callback. */
const PATIENCE_MS = MINUTE;
/** How often a request that failed is sent again. */
const SENT_AGAIN = 0.7;

/** An organization, and the person there who connects it and mends what was lost. */
export class Customer {
  private state: 'connected' | 'lost' | 'away' = 'away';
  private isConnecting = false;
  private since = 0;

  constructor(
    readonly organizationId: string,
    private readonly time: VirtualTime,
    private readonly random: Random,
    private readonly fleet: Fleet,
    private readonly provider: Provider,
    private readonly ledger: Ledger,
  ) {}

  /** Some requests at about the same time. */
  visit(requests: number): void {
    if (this.state === 'away') return;
    for (let request = 0; request < requests; request += 1) {
      this.time.after(this.random.between(0, 300), () => this.call());
    }
  }

  /** Connects, or connects again; where that fails, again later. @param consentedAt of a consent given long ago */
  async connect(consentedAt?: number): Promise<void> {
    if (this.isConnecting) return;
    this.isConnecting = true;
    for (;;) {
      const code = this.provider.consent(this.organizationId, consentedAt);
      if (await this.succeeds((instance) => instance.connect(this.organizationId, this.organizationId, code))) break;
      await this.time.sleep(this.random.between(10 * MINUTE, 3 * HOUR));
    }
    this.isConnecting = false;
    this.ledger.settle(this.organizationId);
    this.become('connected');
  }

  /** Connects again though nothing is wrong. */
  async reconnect(): Promise<void> {
    if (this.state === 'connected') await this.connect();
  }

  /** Disconnects, and comes back. */
  async disconnect(backAfterMs: number): Promise<void> {
    if (this.state !== 'connected' || this.isConnecting) return;
    this.ledger.note(this.organizationId, 'the customer disconnects');
    this.ledger.settle(this.organizationId);
    this.become('away');
    while (!(await this.succeeds((instance) => instance.disconnect(this.organizationId)))) {
      await this.time.sleep(this.random.between(MINUTE, HOUR));
    }
    await this.time.sleep(backAfterMs);
    await this.connect();
  }

  revoke(): void {
    if (this.state !== 'connected' || this.isConnecting) return;
    if (this.provider.revokeByPerson(this.organizationId)) {
      this.ledger.note(this.organizationId, 'the customer revokes in QuickBooks');
    }
  }

  /** The connection was lost, or taken up again. A person who sees it lost connects again, in days. */
  change(isConnected: boolean): void {
    if (this.state === 'away') return;
    this.become(isConnected ? 'connected' : 'lost');
    if (isConnected) return;
    const lostAt = this.time.now;
    this.time.after(this.random.between(2 * DAY, 10 * DAY), () => {
      if (this.state === 'lost' && this.since === lostAt) return this.connect();
    });
  }

  /** Counts the time until now. */
  async finish(): Promise<void> {
    this.become(this.state);
    if (this.state !== 'away' && !this.isConnecting) await this.ledger.audit(this.organizationId);
  }

  /** A request; one that failed is often sent again by whatever sent it. */
  private async call(): Promise<void> {
    this.ledger.failed += 1; // until it is answered
    const isAnswered = await this.fleet
      .ask((instance) => instance.call(this.organizationId))
      .then(
        () => true,
        () => false,
      );
    if (isAnswered) {
      this.ledger.failed -= 1;
      this.ledger.answered += 1;
    } else if (this.random.chance(SENT_AGAIN)) {
      this.time.after(this.random.scaled(SECOND / 2, MINUTE), () => this.call());
    }
  }

  private async succeeds(work: Parameters<Fleet['ask']>[0]): Promise<boolean> {
    const done = this.fleet.ask(work).then(
      () => true,
      () => false,
    );
    return Promise.race([done, this.time.sleep(PATIENCE_MS).then(() => false)]);
  }

  private become(state: Customer['state']): void {
    if (this.state === 'connected') this.ledger.connectedMs += this.time.now - this.since;
    this.state = state;
    this.since = this.time.now;
  }
}
