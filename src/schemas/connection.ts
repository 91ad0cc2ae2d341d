import { z } from 'zod';
import type { LossReason } from '../models/connection.ts';
import { accountingSystem, instant, oneOf, realmId } from './fields.ts';

/** Why a connection is lost. */
const lossReason = oneOf<LossReason>(
  {
    authorization_revoked: 'Intuit refused the refresh token, and nothing on our side explains it',
    rotation_lost: 'refused, after an earlier refresh whose answer never reached us or could not be saved',
    refresh_token_expired: 'past its own or the five-year end',
  },
  'Why the connection is lost; null where it is not.',
);

/** An organization's connection as its status tells it: active, lost, or none. */
export const statusSchema = z
  .object({
    connected: z.boolean().meta({ description: 'True while calls to QuickBooks can be made.' }),
    accounting_system: accountingSystem.nullable().meta({ description: 'Null where there is no connection.' }),
    realm_id: realmId.nullable(),
    company_name: z.string().nullable().meta({
      description: "The company's name as QuickBooks told it; null until it could be read.",
      example: 'Sandbox Company_US_1',
    }),
    expires_at: instant('When the access token ends. It lives an hour and is renewed at its next use.').nullable(),
    is_expired: z.boolean().meta({ description: 'True where the access token has ended. Nothing needs to be done.' }),
    needs_reauthorization: z.boolean().meta({
      description: 'True where the connection is lost: the person must connect again.',
    }),
    reason: lossReason.nullable(),
    refresh_token_expires_at: instant(
      'When the connection ends if nothing renews it, which the service does in time; or its five-year end, which only connecting again moves.',
    ).nullable(),
    last_refreshed_at: instant('When the tokens were last renewed; null where they never were.').nullable(),
  })
  .meta({ id: 'Status', description: "The organization's connection: active, lost, or none." });

export type Status = z.input<typeof statusSchema>;

/** A link that lets a browser without credentials connect. */
export const connectLinkSchema = z
  .object({
    connect_url: z.url().meta({
      description: 'To be opened in a browser, which needs no credentials for it. Good for one use.',
    }),
    expires_at: instant('When the link ends, 5 minutes after it was made.'),
  })
  .meta({ id: 'ConnectLink', description: 'A link that a browser without credentials may open once.' });

export type ConnectLinkAnswer = z.input<typeof connectLinkSchema>;

/** That the organization is disconnected, whether it was connected or not. */
export const disconnectedSchema = z
  .object({ success: z.literal(true), message: z.literal('Disconnected successfully') })
  .meta({ id: 'Disconnected', description: 'The organization has no connection now.' });

export type Disconnected = z.input<typeof disconnectedSchema>;
