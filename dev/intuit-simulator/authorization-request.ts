/** The parameters of an authorization request, each of which must stand exactly once. */
export const authorizationParameters = ['client_id', 'redirect_uri', 'response_type', 'scope', 'state'] as const;

/** A request that may be shown to a person. */
export type AuthorizationRequest = Record<(typeof authorizationParameters)[number], string>;

const scopes = [
  'com.intuit.quickbooks.accounting',
  'com.intuit.quickbooks.payment',
  'openid',
  'profile',
  'email',
  'phone',
  'address',
];

/** Reads the parameters as Intuit does; a string says what is wrong with them. */
export function readAuthorizationRequest(
  parameters: URLSearchParams,
  clientId: string,
  redirectUris: string[] | undefined,
): AuthorizationRequest | string {
  for (const name of authorizationParameters) {
    const values = parameters.getAll(name);
    if (values.length > 1) return `${name} is repeated.`;
    if (!values[0]) return `${name} is missing.`;
  }
  const request = Object.fromEntries(parameters) as AuthorizationRequest;
  if (request.client_id !== clientId) return 'client_id is not that of a known app.';
  if (request.response_type !== 'code') return 'response_type must be "code".';
  if (!isRegistered(request.redirect_uri, redirectUris)) return 'redirect_uri is not one that the app has registered.';
  const unknown = request.scope.split(' ').find((scope) => !scopes.includes(scope));
  return unknown === undefined ? request : `scope "${unknown}" does not exist.`;
}

function isRegistered(redirectUri: string, registered: string[] | undefined): boolean {
  if (registered) return registered.includes(redirectUri);
  return /^https?:\/\/[^#]+$/.test(redirectUri) && URL.canParse(redirectUri);
}
