import { z } from 'zod';
import { ERRORS, type ErrorCode } from '../errors.ts';
import { oneOf } from './fields.ts';

const MEANINGS = Object.fromEntries(Object.entries(ERRORS).map(([code, { meaning }]) => [code, meaning])) as Record<
  ErrorCode,
  string
>;

/** Every error of this service (RFC 9457). */
export const problemSchema = z
  .object({
    type: z.literal('about:blank'),
    title: z.string().meta({ description: "The status' name.", example: 'Bad Request' }),
    status: z.int().meta({ description: 'The HTTP status.', example: 400 }),
    detail: z.string().meta({ description: 'For people. Its wording may change.' }),
    code: oneOf<ErrorCode>(MEANINGS, 'For programs.').meta({ id: 'ErrorCode' }),
    request_id: z.string().meta({
      description: "The response's `X-Request-Id`, which is in the log.",
      example: '5c1b4f0e-6a9f-4b53-b1a4-5c3f0d6f2f43',
    }),
  })
  .meta({ id: 'Problem', description: 'An error of this service, as RFC 9457 specifies.' });

export type Problem = z.input<typeof problemSchema>;
