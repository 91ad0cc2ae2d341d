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
      database: z.enum(['ok', 'unreachable', 'denied', 'read_only', 'full', 'unsuitable']).meta({
        description:
          '`denied`: the server rejects the user or password. `read_only`, `full`: it accepts no writes. `unsuitable`: a setting of the server would break the service.',
      }),
      migrations: z
        .enum(['ok', 'pending', 'unreachable'])
        .meta({ description: '`unreachable`: not known, because the database cannot be used.' }),
      encryption_key: z
        .enum(['ok', 'wrong', 'unreachable'])
        .meta({ description: '`wrong`: `ENCRYPTION_KEY` cannot decrypt the stored tokens.' }),
    }),
  })
  .meta({ id: 'Readiness' });

export type Readiness = z.input<typeof readinessSchema>;
