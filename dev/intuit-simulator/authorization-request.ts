/** The parameters of an authorization request, each of which must be given exactly once. */
export const AUTHORIZATION_PARAMETERS = ['client_id', 'redirect_uri', 'response_type', 'scope', 'state'] as const;

/** A valid authorization request. */
export type AuthorizationRequest = Record<(typeof AUTHORIZATION_PARAMETERS)[number], string>;

const SCOPES = [
  'com.intuit.quickbooks.accounting',
  'com.intuit.quickbooks.payment',
  'openid',
  'profile',
  'email',
  'phone',
  'address',
];

/** Reads the parameters as Intuit does. Returns a text that explains what is wrong if they are not valid. */
export function readAuthorizationRequest(
  parameters: URLSearchParams,
  clientId: string,
  redirectUris: string[] | undefined,
): AuthorizationRequest | string {
  for (const name of AUTHORIZATION_PARAMETERS) {
    const values = parameters.getAll(name);
    if (values.length > 1) return `${name} is repeated.`;
    if (!values[0]) return `${name} is missing.`;
  }
  const request = Object.fromEntries(parameters) as AuthorizationRequest;
  if (request.client_id !== clientId) return 'client_id is not the ID of a known app.';
  if (request.response_type !== 'code') return 'response_type must be "code".';
  if (!isRegistered(request.redirect_uri, redirectUris)) return 'redirect_uri is not registered for this app.';
  const unknown = request.scope.split(' ').find((scope) => !SCOPES.includes(scope));
  return unknown === undefined ? request : `scope "${unknown}" does not exist.`;
}

function isRegistered(redirectUri: string, registered: string[] | undefined): boolean {
  if (registered) return registered.includes(redirectUri);
  return /^https?:\/\/[^#]+$/.test(redirectUri) && URL.canParse(redirectUri);
}
