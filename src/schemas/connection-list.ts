import { z } from 'zod';
import type { Connection } from '../models/connection.ts';
import { activeStatusSchema, lostStatusSchema, type Status, toStatus } from './connection.ts';
import { organizationId } from './fields.ts';

/** An organization's connection among those of all organizations. */
const listedConnectionSchema = z
  .union([
    activeStatusSchema
      .extend({ organization_id: organizationId })
      .meta({ id: 'ListedActiveConnection', description: 'An organization that is connected.' }),
    lostStatusSchema
      .extend({ organization_id: organizationId })
      .meta({ id: 'ListedLostConnection', description: 'An organization whose connection is lost.' }),
  ])
  .meta({ id: 'ListedConnection', description: "An organization's connection: active or lost." });

/** A page of all organizations' connections. */
export const connectionPageSchema = z
  .object({
    connections: z.array(listedConnectionSchema),
    next: z.string().nullable().meta({
      description: 'Pass it as `after` to get the connections that come next; null on the last page.',
      example: 'acme',
    }),
  })
  .meta({ id: 'ConnectionPage', description: "A page of all organizations' connections, in the order of their IDs." });

export type ListedConnection = z.input<typeof listedConnectionSchema>;
export type ConnectionPage = z.input<typeof connectionPageSchema>;

/** Adds the organization to a connection's status. */
export function toListedConnection(connection: Connection, now: Date): ListedConnection {
  const status = toStatus(connection, now) as Extract<Status, { accounting_system: string }>;
  return { organization_id: connection.organizationId, ...status };
}
