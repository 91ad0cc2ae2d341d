import type { Scope } from '../models/scope.ts';

/** The credentials of an operation: an API key or a user's JWT, with this scope. */
export function requiresScope(scope: Scope) {
  return [{ apiKey: [scope] }, { userToken: [scope] }];
}

/** How a request is authorized. */
export const SECURITY_SCHEMES = {
  apiKey: {
    type: 'http',
    scheme: 'bearer',
    description:
      'An API key (`API_KEYS`). Can act for every organization, with every scope or only with those that are listed after it.',
  },
  userToken: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description:
      "A user's JWT, verified against `AUTH_JWKS_URL`. Can act for the organization that its claim names, with every scope but `connections:list`; with `AUTH_SCOPES=true` only with those that its `scope` or `scp` names.",
  },
  connectLink: {
    type: 'apiKey',
    in: 'query',
    name: 'link',
    description:
      'The `link` of a `connect_url`: valid for one connection of one organization, by default for 5 minutes.',
  },
} as const;
