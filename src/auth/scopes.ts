import type { JWTPayload } from 'jose';
import { AppError } from '../errors.ts';
import type { Scope } from '../models/scope.ts';
import type { Caller } from './caller-authenticator.ts';

/** @throws AppError `forbidden`, which names the scope, if the caller does not have it */
export function authorizeScope({ scopes, organizations }: Caller, scope: Scope): void {
  // Only a caller that can act for every organization may list them all, whatever its token says.
  const isOutOfReach = scope === 'connections:list' && organizations.kind !== 'all';
  if (!isOutOfReach && (!scopes || scopes.has(scope))) return;
  throw new AppError('forbidden', { detail: `These credentials lack the scope ${scope}.`, requiredScope: scope });
}

/** The scopes that a JWT names: `scope` is RFC 8693's text, `scp` the same or an array. */
export function scopesOf({ scope, scp }: JWTPayload): ReadonlySet<string> {
  const names = [Array.isArray(scope) ? [] : scope, scp].flat();
  return new Set(names.flatMap((name) => (typeof name === 'string' ? name.split(' ') : [])));
}
