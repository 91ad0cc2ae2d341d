import { Webhook } from 'standardwebhooks';
import { type Dispatcher, Pool, request } from 'undici';
import type { ConnectionEventDatastore } from '../datastores/connection-event-datastore.ts';
import type { WebhookQueue, WebhookQueueDatastore } from '../datastores/webhook-queue-datastore.ts';
import type { Egress } from '../egress/egress.ts';
import type { RecordedEvent } from '../models/connection-event.ts';
import type { Logger } from '../observability/logger.ts';
import { toEventFields, type WebhookBody } from '../schemas/events.ts';
import { type Clock, earliestNow, fromNow } from '../utils/clock.ts';
import type { Job, JobOutcome } from './job.ts';

const MINUTE_MS = 60_000;
const TIMEOUT_MS = 10_000;
/** A worker has a queue for itself for this long after each delivery. */
const CLAIM_MS = 3 * TIMEOUT_MS;
const BACK_OFF_MS = [5_000, MINUTE_MS, 5 * MINUTE_MS, 30 * MINUTE_MS, 2 * 60 * MINUTE_MS, 6 * 60 * MINUTE_MS];
/** An event that was rejected for this long is dropped, so that the events behind it are delivered. */
const DROP_MS = 3 * 24 * 60 * MINUTE_MS;
/** An event older than this is dropped without an attempt: it occurred when no worker was running. */
const TOO_OLD_MS = DROP_MS + 24 * 60 * MINUTE_MS;

interface Dependencies {
  /** A delivery is signed with each of the secrets. */
  receiver: { url: string; secrets: readonly string[] };
  events: ConnectionEventDatastore;
  queues: WebhookQueueDatastore;
  egress: Egress;
  clock: Clock;
  logger: Logger;
}

/** Posts each organization's events in their order, at least once, as Standard Webhooks. */
export class WebhookJob implements Job<WebhookQueue> {
  readonly name = 'webhooks';
  readonly concurrency = 8;
  readonly intervalMs = 1_000;
  readonly pauseMs = 0;
  private readonly url: string;
  private readonly signers: Webhook[];
  private readonly dispatcher: Dispatcher;
  private readonly events: ConnectionEventDatastore;
  private readonly queues: WebhookQueueDatastore;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private isStopping = false;

  constructor({ receiver, events, queues, egress, clock, logger }: Dependencies) {
    const { origin } = new URL(receiver.url);
    this.url = receiver.url;
    this.signers = receiver.secrets.map((secret) => new Webhook(secret));
    this.dispatcher = new Pool(origin, { connect: egress.connector(origin, TIMEOUT_MS / 2) });
    this.events = events;
    this.queues = queues;
    this.clock = clock;
    this.logger = logger;
  }

  async listDue(limit: number): Promise<WebhookQueue[]> {
    return this.queues.listDue(this.clock.now(), limit);
  }

  async claim(queue: WebhookQueue): Promise<WebhookQueue | undefined> {
    return this.queues.claim(queue, fromNow(this.clock, CLAIM_MS));
  }

  /** Delivers a queue's events up to the first one that the receiver rejects. */
  async run(claimed: WebhookQueue): Promise<JobOutcome> {
    let queue: WebhookQueue | undefined = claimed;
    while (queue && !this.isStopping) {
      const event = await this.events.findNext(queue.organizationId, queue.deliveredPosition);
      if (!event) {
        if (await this.queues.finish(queue)) break;
        queue = await this.queues.reread(queue); // an event was enqueued meanwhile
      } else if (await this.deliverOrDrop(event)) {
        queue = await this.queues.advance(queue, event.position, fromNow(this.clock, CLAIM_MS));
      } else {
        await this.queues.postpone(queue, fromNow(this.clock, this.backOffMs(queue.attempts)));
        break;
      }
    }
    return 'done';
  }

  /** Begins no more deliveries. */
  stop(): void {
    this.isStopping = true;
  }

  async close(): Promise<void> {
    await this.dispatcher.destroy();
  }

  /** True if the receiver accepted the event, or if it is too old to be delivered again. */
  private async deliverOrDrop(event: RecordedEvent): Promise<boolean> {
    const context = { organization_id: event.organizationId, event_id: event.eventId, type: event.type };
    const ageMs = earliestNow(this.clock).getTime() - event.occurredAt.getTime();
    const failure = ageMs > TOO_OLD_MS ? 'too old' : await this.deliver(event);
    if (failure === undefined) return true;
    if (ageMs > DROP_MS) {
      this.logger.error({ event: 'webhook.dropped', ...context, reason: failure }, 'webhook.dropped');
      return true;
    }
    this.logger.warn({ event: 'webhook.failed', ...context, reason: failure }, 'webhook.failed');
    return false;
  }

  /** Returns why the delivery failed, or undefined if it succeeded. */
  private async deliver(event: RecordedEvent): Promise<string | undefined> {
    const body = JSON.stringify({
      type: event.type,
      timestamp: event.occurredAt,
      data: { organization_id: event.organizationId, accounting_system: event.system, ...toEventFields(event) },
    } satisfies WebhookBody);
    const sentAt = this.clock.now();
    const abort = new AbortController();
    const timer = this.clock.startTimer(TIMEOUT_MS, () => abort.abort());
    try {
      const response = await request(this.url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'webhook-id': event.eventId,
          'webhook-timestamp': String(Math.floor(sentAt.getTime() / 1000)),
          'webhook-signature': this.signers.map((signer) => signer.sign(event.eventId, sentAt, body)).join(' '),
        },
        body,
        dispatcher: this.dispatcher,
        signal: abort.signal,
      });
      await response.body.dump();
      return response.statusCode >= 200 && response.statusCode < 300 ? undefined : `status ${response.statusCode}`;
    } catch (error) {
      if (abort.signal.aborted) return 'timeout';
      const { code, name } = error as { code?: unknown; name: string };
      return typeof code === 'string' ? code : name;
    } finally {
      timer.cancel();
    }
  }

  private backOffMs(attempts: number): number {
    const milliseconds = BACK_OFF_MS[attempts] ?? BACK_OFF_MS.at(-1) ?? 0;
    return milliseconds * (0.75 + this.clock.random() / 2);
  }
}
