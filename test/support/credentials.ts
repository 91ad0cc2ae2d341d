/** The API keys of two services that call this one. */
export const KEYS = {
  billing: 'billing-key-0123456789-0123456789-abcdef',
  reports: 'reports-key-0123456789-0123456789-abcdef',
} as const;

/** The variables of a service that accepts these keys. */
export const WITH_KEYS = {
  AUTH_DISABLED: '',
  API_KEYS: `billing:${KEYS.billing}, reports:${KEYS.reports}`,
};

/** A key that is limited to reading connections, and the variable's value with it. */
export const LIMITED_KEY = 'limited-key-0123456789-0123456789-abcdef';
export const WITH_LIMITED_KEY = {
  ...WITH_KEYS,
  API_KEYS: `${WITH_KEYS.API_KEYS}, limited:${LIMITED_KEY}:connections:read`,
};

/** The header with a key or a JWT. */
export function bearer(token: string): { Authorization: string } {
  return { Authorization: `Bearer ${token}` };
}
