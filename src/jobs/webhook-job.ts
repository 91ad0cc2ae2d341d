import { Webhook } from 'standardwebhooks';
import { Agent, request } from 'undici';
import type { ConnectionEventDatastore } from '../datastores/connection-event-datastore.ts';
import type { WebhookQueue, WebhookQueueDatastore } from '../datastores/webhook-queue-datastore.ts';
import type { RecordedEvent } from '../models/connection-event.ts';
import type { Logger } from '../observability/logger.ts';
import type { EventFields, WebhookBody } from '../schemas/events.ts';
import type { InFlight } from '../utils/background-tasks.ts';

const MINUTE_MS = 60_000;
const TIMEOUT_MS = 10_000;
/** A deliverer has a queue for itself for so long after each delivery. */
const CLAIM_MS = 3 * TIMEOUT_MS;
const BACK_OFF_MS = [5_000, MINUTE_MS, 5 * MINUTE_MS, 30 * MINUTE_MS, 2 * 60 * MINUTE_MS, 6 * 60 * MINUTE_MS];
/** An event that nobody took for so long is given up, so that the ones behind it get their turn. */
const GIVE_UP_MS = 3 * 24 * 60 * MINUTE_MS;
/** Not even offered any more: it comes from a time when nobody was there to deliver it. */
const TOO_OLD_MS = GIVE_UP_MS + 24 * 60 * MINUTE_MS;
/** More first tries at once are left to the worker. */
const MOST_AT_ONCE = 20;

/** Posts each organization's events in their order, at least once, as Standard Webhooks. */
export class Webhooks {
  private readonly url: string;
  private readonly signer: Webhook;
  private readonly agent = new Agent({ connect: { timeout: TIMEOUT_MS } });
  private delivering = 0;
  private isStopped = false;

  constructor(
    receiver: { url: string; secret: string },
    private readonly events: ConnectionEventDatastore,
    private readonly queues: WebhookQueueDatastore,
    private readonly inFlight: InFlight,
    private readonly logger: Logger,
    private readonly now: () => Date,
    private readonly timeoutMs = TIMEOUT_MS,
  ) {
    this.url = receiver.url;
    this.signer = new Webhook(receiver.secret);
  }

  /** The first try, behind the request that made the event. */
  announce(organizationId: string): void {
    if (this.isStopped || this.delivering >= MOST_AT_ONCE) return;
    this.delivering += 1;
    const delivery = this.inFlight.track(this.deliverNow(organizationId)).finally(() => {
      this.delivering -= 1;
    });
    delivery.catch((err) => this.logger.warn({ err, organization_id: organizationId }, 'webhook left to the worker'));
  }

  async listDue(most: number): Promise<WebhookQueue[]> {
    return this.queues.listDue(this.now(), most);
  }

  /** Delivers what waits in a queue, up to the first event that the receiver does not take. */
  async deliver(due: WebhookQueue): Promise<void> {
    let queue = await this.queues.claim(due, this.after(CLAIM_MS));
    while (queue && !this.isStopped) {
      const [event] = await this.events.listAfter(queue.organizationId, queue.deliveredPosition, 1);
      if (!event) {
        if (await this.queues.finish(queue)) return;
        queue = await this.queues.reread(queue); // an event came in meanwhile
      } else if (await this.isSettled(event)) {
        queue = await this.queues.advance(queue, event.position, this.after(CLAIM_MS));
      } else {
        await this.queues.postpone(queue, this.after(backOff(queue.failures)));
        return;
      }
    }
  }

  /** Begins no more posts. Those on their way are in flight still. */
  stop(): void {
    this.isStopped = true;
  }

  async close(): Promise<void> {
    await this.agent.destroy();
  }

  private async deliverNow(organizationId: string): Promise<void> {
    const queue = await this.queues.find(organizationId);
    if (queue && queue.nextAttemptAt <= this.now()) await this.deliver(queue);
  }

  /** True where the receiver took the event, or it is too old to be offered again. */
  private async isSettled(event: RecordedEvent): Promise<boolean> {
    const context = { organization_id: event.organizationId, event_id: event.eventId, type: event.type };
    const age = this.now().getTime() - event.occurredAt.getTime();
    const reason = age > TOO_OLD_MS ? 'too old' : await this.post(event);
    if (reason === undefined) return true;
    if (age > GIVE_UP_MS) {
      this.logger.error({ ...context, reason }, 'webhook given up');
      return true;
    }
    this.logger.warn({ ...context, reason }, 'webhook not taken');
    return false;
  }

  /** Answers why it failed, or nothing. */
  private async post(event: RecordedEvent): Promise<string | undefined> {
    const body = JSON.stringify({
      type: event.type,
      timestamp: event.occurredAt,
      data: { organization_id: event.organizationId, accounting_system: event.system, ...toEventFields(event) },
    } satisfies WebhookBody);
    const sentAt = this.now();
    try {
      const answer = await request(this.url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'webhook-id': event.eventId,
          'webhook-timestamp': String(Math.floor(sentAt.getTime() / 1000)),
          'webhook-signature': this.signer.sign(event.eventId, sentAt, body),
        },
        body,
        dispatcher: this.agent,
        signal: AbortSignal.timeout(this.timeoutMs),
      });
      await answer.body.dump();
      return answer.statusCode >= 200 && answer.statusCode < 300 ? undefined : `status ${answer.statusCode}`;
    } catch (error) {
      const { code, name } = error as { code?: unknown; name: string };
      return typeof code === 'string' ? code : name;
    }
  }

  private after(milliseconds: number): Date {
    return new Date(this.now().getTime() + milliseconds);
  }
}

/** An event's fields as callers and receivers see them. */
export function toEventFields(event: RecordedEvent): EventFields {
  return {
    event_id: event.eventId,
    type: event.type,
    reason: event.reason ?? null,
    realm_id: event.realmId ?? null,
    actor: event.actor,
    intuit_tid: event.intuitTid ?? null,
    occurred_at: event.occurredAt,
  };
}

function backOff(failures: number): number {
  return (BACK_OFF_MS[failures] ?? BACK_OFF_MS.at(-1) ?? 0) * (0.75 + Math.random() / 2);
}
