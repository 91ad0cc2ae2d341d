import { randomTid } from './random-values.ts';
import { json, type SimulatedResponse } from './responses.ts';
import type { Entity } from './sample-invoices.ts';

/** QuickBooks rejects a batch with more items. */
export const MAX_BATCH_ITEMS = 30;

/** Responds to each item on its own: one that is rejected has a `Fault`, and the response's status is 200 nonetheless. */
export function batch(items: Entity[], respond: (item: Entity) => SimulatedResponse, time: string): SimulatedResponse {
  const BatchItemResponse = items.map((item) => {
    const { time: _, ...content } = JSON.parse(String(respond(item).body)) as Entity;
    return { ...content, bId: item['bId'] };
  });
  return json(200, { BatchItemResponse, requestId: randomTid(), time });
}
