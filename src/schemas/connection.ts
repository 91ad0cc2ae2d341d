import { z } from 'zod';
import type { Connection, LossReason } from '../models/connection.ts';
import { accountingSystem, instant, oneOf, realmId } from './fields.ts';

/** Why a connection is lost. */
const lossReason = oneOf<LossReason>(
  {
    authorization_revoked: "Intuit rejected the refresh token, and nothing on this service's side explains it",
    rotation_lost: 'rejected, after an earlier refresh whose response was never received or could not be saved',
    refresh_token_expired: 'past its own expiry or the five-year limit',
  },
  'Why the connection is lost; null if it is not.',
);

/** An organization's connection as callers see it: active, lost, or none. */
export const statusSchema = z
  .object({
    connected: z.boolean().meta({ description: 'True if QuickBooks can be called.' }),
    accounting_system: accountingSystem.nullable().meta({ description: 'Null if there is no connection.' }),
    realm_id: realmId.nullable(),
    company_name: z.string().nullable().meta({
      description: "The company's name in QuickBooks; null until it could be read.",
      example: 'Sandbox Company_US_1',
    }),
    expires_at: instant(
      'When the access token expires. It is valid for an hour and refreshed on its next use.',
    ).nullable(),
    is_expired: z.boolean().meta({ description: 'True if the access token has expired. No action is needed.' }),
    needs_reauthorization: z.boolean().meta({
      description: 'True if the connection is lost: the user must connect again.',
    }),
    reason: lossReason.nullable(),
    refresh_token_expires_at: instant(
      'When the refresh token expires, unless it is refreshed before, as it always is.',
    ).nullable(),
    authorization_expires_at: instant(
      'The five-year limit, which only connecting again extends; null if Intuit did not return it.',
    ).nullable(),
    last_refreshed_at: instant('When the tokens were last refreshed; null if they never were.').nullable(),
    last_verified_at: instant(
      'When Intuit last accepted this grant: connect, refresh or verification; null if it has not yet.',
    ).nullable(),
  })
  .meta({ id: 'Status', description: "The organization's connection: active, lost, or none." });

export type Status = z.input<typeof statusSchema>;

/** Converts a connection, or its absence, to a status. */
export function toStatus(connection: Connection | undefined, now: Date): Status {
  const active = connection?.state === 'active' ? connection : undefined;
  const lost = connection?.state === 'lost' ? connection : undefined;
  return {
    connected: active !== undefined,
    accounting_system: connection?.system ?? null,
    realm_id: connection?.realmId ?? null,
    company_name: connection?.companyName ?? null,
    expires_at: active?.tokens.accessTokenExpiresAt ?? null,
    is_expired: active !== undefined && active.tokens.accessTokenExpiresAt <= now,
    needs_reauthorization: lost !== undefined,
    reason: lost?.reason ?? null,
    refresh_token_expires_at: active?.tokens.refreshTokenExpiresAt ?? null,
    authorization_expires_at: active?.tokens.authorizationExpiresAt ?? null,
    last_refreshed_at: connection?.lastRefreshedAt ?? null,
    last_verified_at: active?.lastVerifiedAt ?? null,
  };
}

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
