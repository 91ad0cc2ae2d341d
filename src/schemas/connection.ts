import { z } from 'zod';
import type { ConnectionStatus, LossReason } from '../models/connection.ts';
import { accountingSystem, instant, oneOf, realmId } from './fields.ts';

/** Why a connection is lost. */
const lossReason = oneOf<LossReason>(
  {
    authorization_revoked: "Intuit rejected the refresh token, and nothing on this service's side explains it",
    rotation_lost: 'rejected, after an earlier refresh whose response was never received or could not be saved',
    refresh_token_expired: 'past its own expiry or the five-year limit',
  },
  'Why the connection is lost.',
);

const companyName = z.string().nullable().meta({
  description: "The company's name in QuickBooks; null until it could be read.",
  example: 'Sandbox Company_US_1',
});
const lastRefreshedAt = instant('When the tokens were last refreshed; null if they never were.').nullable();

/** The status of a connection that can be used. */
export const activeStatusSchema = z
  .object({
    connected: z.literal(true).meta({ description: 'QuickBooks can be called.' }),
    accounting_system: accountingSystem,
    realm_id: realmId,
    company_name: companyName,
    expires_at: instant('When the access token expires. It is valid for an hour and refreshed on its next use.'),
    is_expired: z.boolean().meta({ description: 'True if the access token has expired. No action is needed.' }),
    needs_reauthorization: z.literal(false),
    reason: z.null(),
    refresh_token_expires_at: instant(
      'When the refresh token expires, unless it is refreshed before, as it always is.',
    ),
    authorization_expires_at: instant(
      'The five-year limit, which only connecting again extends; null if Intuit did not return it.',
    ).nullable(),
    last_refreshed_at: lastRefreshedAt,
    last_verified_at: instant(
      'When Intuit last accepted this grant: connect, refresh or verification; null if it has not yet.',
    ).nullable(),
  })
  .meta({ id: 'ActiveStatus', description: 'The organization is connected.' });

/** The status of a connection that only its user can restore. */
export const lostStatusSchema = z
  .object({
    connected: z.literal(false),
    accounting_system: accountingSystem,
    realm_id: realmId,
    company_name: companyName,
    expires_at: z.null(),
    is_expired: z.literal(false),
    needs_reauthorization: z.literal(true).meta({ description: 'The user must connect again.' }),
    reason: lossReason,
    refresh_token_expires_at: z.null(),
    authorization_expires_at: z.null(),
    last_refreshed_at: lastRefreshedAt,
    last_verified_at: z.null(),
  })
  .meta({ id: 'LostStatus', description: 'The connection is lost: the user must connect again.' });

const noConnectionStatusSchema = z
  .object({
    connected: z.literal(false),
    accounting_system: z.null(),
    realm_id: z.null(),
    company_name: z.null(),
    expires_at: z.null(),
    is_expired: z.literal(false),
    needs_reauthorization: z.literal(false),
    reason: z.null(),
    refresh_token_expires_at: z.null(),
    authorization_expires_at: z.null(),
    last_refreshed_at: z.null(),
    last_verified_at: z.null(),
  })
  .meta({ id: 'NoConnectionStatus', description: 'The organization never connected, or disconnected.' });

/** An organization's connection as callers see it: active, lost, or none. */
export const statusSchema = z
  .union([activeStatusSchema, lostStatusSchema, noConnectionStatusSchema])
  .meta({ id: 'Status', description: "The organization's connection: active, lost, or none." });

export type Status = z.input<typeof statusSchema>;

/** Converts a connection, or its absence, to a status. */
export function toStatus(connection: ConnectionStatus | undefined, now: Date): Status {
  if (!connection) return NO_CONNECTION;
  const { system, realmId, companyName = null, lastRefreshedAt = null } = connection;
  if (connection.state === 'lost') {
    return {
      ...NO_CONNECTION,
      accounting_system: system,
      realm_id: realmId,
      company_name: companyName,
      needs_reauthorization: true,
      reason: connection.reason,
      last_refreshed_at: lastRefreshedAt,
    };
  }
  const { tokens, lastVerifiedAt } = connection;
  return {
    connected: true,
    accounting_system: system,
    realm_id: realmId,
    company_name: companyName,
    expires_at: tokens.accessTokenExpiresAt,
    is_expired: tokens.accessTokenExpiresAt <= now,
    needs_reauthorization: false,
    reason: null,
    refresh_token_expires_at: tokens.refreshTokenExpiresAt,
    authorization_expires_at: tokens.authorizationExpiresAt ?? null,
    last_refreshed_at: lastRefreshedAt,
    last_verified_at: lastVerifiedAt ?? null,
  };
}

/** The status of an organization without a connection. */
export const NO_CONNECTION: z.input<typeof noConnectionStatusSchema> = {
  connected: false,
  accounting_system: null,
  realm_id: null,
  company_name: null,
  expires_at: null,
  is_expired: false,
  needs_reauthorization: false,
  reason: null,
  refresh_token_expires_at: null,
  authorization_expires_at: null,
  last_refreshed_at: null,
  last_verified_at: null,
};

/** A link that lets a browser without credentials connect. */
export const connectLinkSchema = z
  .object({
    connect_url: z.url().meta({
      description: 'To be opened in a browser, which needs no credentials. Valid for one connection.',
    }),
    expires_at: instant('When the link expires: by default 5 minutes after it was created.'),
  })
  .meta({ id: 'ConnectLink', description: 'A link that lets a browser without credentials connect once.' });

export type ConnectLinkResponse = z.input<typeof connectLinkSchema>;

/** The response to disconnect, whether the organization was connected or not. */
export const disconnectedSchema = z
  .object({ success: z.literal(true), message: z.literal('Disconnected successfully') })
  .meta({ id: 'Disconnected', description: 'The organization has no connection now.' });

export type Disconnected = z.input<typeof disconnectedSchema>;
