import type { RequestHandler } from 'express';
import { AppError } from '../errors.ts';

/** Rejects a route's other methods. @param allow the methods that it has, as RFC 9110 §10.2.1 lists them */
export function methodNotAllowed(allow: string): RequestHandler {
  return (_request, response) => {
    response.set('Allow', allow);
    throw new AppError('method_not_allowed', { detail: `This route supports only ${allow}.` });
  };
}
