import type { Request, RequestHandler } from 'express';
import { authorizeScope } from '../auth/scopes.ts';
import type { Scope } from '../models/scope.ts';
import { callerOf } from './locals.ts';

/** Lets only callers with a scope pass. @param scope the scope, or how a request decides which it needs */
export function requireScope(scope: Scope | ((request: Request) => Scope)): RequestHandler {
  return (request, response, next) => {
    authorizeScope(callerOf(response), typeof scope === 'function' ? scope(request) : scope);
    next();
  };
}
