import { z } from 'zod';

/** That the process runs. */
export const livenessSchema = z.object({ status: z.literal('ok') }).meta({ id: 'Liveness' });

export type Liveness = z.input<typeof livenessSchema>;

/** Whether the process can do its work. */
export const readinessSchema = z
  .object({
    status: z.enum(['ready', 'unavailable', 'stopping']).meta({
      description: '`stopping` once a signal asked the process to end: it finishes what it has and takes no more.',
    }),
    checks: z.object({
      database: z.enum(['ok', 'unreachable']),
      migrations: z.enum(['ok', 'pending', 'unreachable']),
    }),
  })
  .meta({ id: 'Readiness' });

export type Readiness = z.input<typeof readinessSchema>;
