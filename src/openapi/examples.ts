import type { AccountingSystem } from '../models/connection.ts';
import { type ConnectLinkResponse, NO_CONNECTION, type Status } from '../schemas/connection.ts';
import type { ConnectionPage, ListedConnection } from '../schemas/connection-list.ts';
import type { EventFields, EventPage, WebhookBody } from '../schemas/events.ts';
import type { Readiness } from '../schemas/health.ts';

const REALM_ID = '9341452000000001';

/** A status for each state of a connection. */
export function statusExamples(system: AccountingSystem): Record<string, Status> {
  const company = { accounting_system: system, realm_id: REALM_ID, company_name: 'Sandbox Company_US_1' };
  return {
    connected: {
      ...NO_CONNECTION,
      ...company,
      connected: true,
      expires_at: new Date('2026-02-10T15:00:00.000Z'),
      refresh_token_expires_at: new Date('2026-05-21T14:00:00.000Z'),
      authorization_expires_at: new Date('2031-02-09T14:00:00.000Z'),
      last_verified_at: new Date('2026-02-10T14:00:00.000Z'),
    },
    lost: {
      ...NO_CONNECTION,
      ...company,
      needs_reauthorization: true,
      reason: 'authorization_revoked',
      last_refreshed_at: new Date('2026-02-10T14:00:00.000Z'),
    },
    not_connected: NO_CONNECTION,
  };
}

/** A page of all organizations' connections. */
export function connectionPageExample(system: AccountingSystem): ConnectionPage {
  const { connected, lost } = statusExamples(system);
  const connections = [
    { organization_id: 'acme', ...connected },
    { organization_id: 'globex', ...lost },
  ] as ListedConnection[];
  return { connections, next: 'globex' };
}

/** The response to POST connect. */
export function connectLinkExample(system: AccountingSystem): ConnectLinkResponse {
  return {
    connect_url: `https://accounting.example.com/api/v1/oauth/${system}/connect/acme?link=eyJpZCI6IkhmRnlEUDFIN0lK.v3vJl0hPTi`,
    expires_at: new Date('2026-02-10T14:05:00.000Z'),
  };
}

const connected: EventFields = {
  event_id: '6e1c2f0a-3f5e-4f1e-9a2b-8a0f3c1d5e77',
  type: 'connected',
  reason: null,
  realm_id: REALM_ID,
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

/** A timeline of one page. */
export const EVENT_PAGE: EventPage = { events: [lost, connected], next: null };

/** The webhook of the timeline's newest event. */
export const WEBHOOK: WebhookBody = {
  type: lost.type,
  timestamp: lost.occurred_at,
  data: { organization_id: 'acme', accounting_system: 'quickbooks', ...lost },
};

/** The response of `/readyz` with status 200. */
export const READY: Readiness = { status: 'ready', checks: { database: 'ok', migrations: 'ok', encryption_key: 'ok' } };

/** Responses of `/readyz` with status 503. */
export const NOT_READY: Record<string, Readiness> = {
  unreachable: {
    status: 'unavailable',
    checks: { database: 'unreachable', migrations: 'unreachable', encryption_key: 'unreachable' },
  },
  pending: { status: 'unavailable', checks: { database: 'ok', migrations: 'pending', encryption_key: 'ok' } },
  wrong_key: { status: 'unavailable', checks: { database: 'ok', migrations: 'ok', encryption_key: 'wrong' } },
  stopping: { status: 'stopping', checks: { database: 'ok', migrations: 'ok', encryption_key: 'ok' } },
};
