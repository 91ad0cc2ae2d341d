import type { ConnectLinkAnswer, Status } from '../schemas/connection.ts';
import type { EventFields, EventPage, WebhookBody } from '../schemas/events.ts';
import type { Readiness } from '../schemas/health.ts';

const COMPANY = {
  accounting_system: 'quickbooks',
  realm_id: '9341452000000001',
  company_name: 'Sandbox Company_US_1',
} as const;

const none: Status = {
  connected: false,
  accounting_system: null,
  realm_id: null,
  company_name: null,
  expires_at: null,
  is_expired: false,
  needs_reauthorization: false,
  reason: null,
  refresh_token_expires_at: null,
  last_refreshed_at: null,
};

/** A status of each kind. */
export const STATUS_EXAMPLES: Record<string, Status> = {
  connected: {
    ...none,
    ...COMPANY,
    connected: true,
    expires_at: new Date('2026-02-10T15:00:00.000Z'),
    refresh_token_expires_at: new Date('2026-05-21T14:00:00.000Z'),
  },
  lost: {
    ...none,
    ...COMPANY,
    needs_reauthorization: true,
    reason: 'authorization_revoked',
    last_refreshed_at: new Date('2026-02-10T14:00:00.000Z'),
  },
  none,
};

/** A link as POST connect makes it. */
export const CONNECT_LINK: ConnectLinkAnswer = {
  connect_url:
    'https://accounting.example.com/api/v1/oauth/quickbooks/connect/acme?link=eyJpZCI6IkhmRnlEUDFIN0lK.v3vJl0hPTi',
  expires_at: new Date('2026-02-10T14:05:00.000Z'),
};

const connected: EventFields = {
  event_id: '6e1c2f0a-3f5e-4f1e-9a2b-8a0f3c1d5e77',
  type: 'connected',
  reason: null,
  realm_id: COMPANY.realm_id,
  actor: 'billing',
  intuit_tid: null,
  occurred_at: new Date('2026-02-10T14:00:00.000Z'),
};

const lost: EventFields = {
  ...connected,
  event_id: '0b9d7c1e-5a44-4c8e-8f0e-2d7b6a1c9e10',
  type: 'lost',
  reason: 'authorization_revoked',
  actor: 'service',
  intuit_tid: '1-67aa0a3e-3f4c1b2a0d9e8f7a6b5c4d3e',
  occurred_at: new Date('2026-03-01T09:30:00.000Z'),
};

/** A whole timeline. */
export const EVENT_PAGE: EventPage = { events: [lost, connected], next: null };

/** Its newest event, posted. */
export const WEBHOOK: WebhookBody = {
  type: lost.type,
  timestamp: lost.occurred_at,
  data: { organization_id: 'acme', accounting_system: 'quickbooks', ...lost },
};

/** What `/readyz` answers with 200. */
export const READY: Readiness = { status: 'ready', checks: { database: 'ok', migrations: 'ok' } };

/** And with 503. */
export const NOT_READY: Record<string, Readiness> = {
  unreachable: { status: 'unavailable', checks: { database: 'unreachable', migrations: 'unreachable' } },
  pending: { status: 'unavailable', checks: { database: 'ok', migrations: 'pending' } },
  stopping: { status: 'stopping', checks: { database: 'ok', migrations: 'ok' } },
};
