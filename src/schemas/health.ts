import { z } from 'zod';

/** The process is running. */
export const livenessSchema = z.object({ status: z.literal('ok') }).meta({ id: 'Liveness' });

export type Liveness = z.input<typeof livenessSchema>;

/** Whether the process can do its work. */
export const readinessSchema = z
  .object({
    status: z.enum(['ready', 'unavailable', 'stopping']).meta({
      description: '`stopping` after a shutdown signal: requests in flight finish, and no new ones are accepted.',
    }),
    checks: z.object({
      database: z.enum(['ok', 'unreachable']),
      migrations: z.enum(['ok', 'pending', 'unreachable']),
    }),
  })
  .meta({ id: 'Readiness' });

export type Readiness = z.input<typeof readinessSchema>;
