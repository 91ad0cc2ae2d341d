/** The callers of the tests: sibling services, each with a key of its own. */
export const KEYS = {
  billing: 'billing-key-0123456789-0123456789-abcdef',
  reports: 'reports-key-0123456789-0123456789-abcdef:+/=',
} as const;

/** The variables of a service that takes these keys. */
export const WITH_KEYS = {
  AUTH_DISABLED: '',
  API_KEYS: `billing:${KEYS.billing}, reports:${KEYS.reports}`,
};

/** The header that carries a key or a JWT. */
export function bearer(token: string): { Authorization: string } {
  return { Authorization: `Bearer ${token}` };
}
