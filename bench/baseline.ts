import type { AddressInfo } from 'node:net';
import express from 'express';
import mysql from 'mysql2/promise';

// The minimal code that returns a status with the same libraries: the same query, and JSON of the same form. It has no
// authentication, limits, metrics or logs.
const POOL_SIZE = 10; // as in the service
/** The service's own query. */
const QUERY =
  'select * from `oauth_tokens` where `organization_id` = ? and `accounting_system` = ? and `current_key` = 1 limit 1';

const { DATABASE_URL = '', PORT, HOST = '' } = process.env;
const pool = mysql.createPool({ uri: DATABASE_URL, timezone: 'Z', charset: 'utf8mb4', connectionLimit: POOL_SIZE });
const app = express();
app.disable('etag'); // as in the service

app.get('/api/v1/oauth/quickbooks/status/:organization_id', async (request, response) => {
  const [[row]] = await pool.query<mysql.RowDataPacket[]>(QUERY, [request.params.organization_id, 'quickbooks']);
  const isActive = row?.['is_active'] === 1;
  response.json({
    connected: isActive,
    accounting_system: row?.['accounting_system'] ?? null,
    realm_id: row?.['realm_id'] ?? null,
    company_name: row?.['company_name'] ?? null,
    expires_at: isActive ? row?.['access_token_expires_at'] : null,
    is_expired: isActive && row?.['access_token_expires_at'] <= new Date(),
    needs_reauthorization: row !== undefined && !isActive,
    reason: row?.['deactivation_reason'] ?? null,
    refresh_token_expires_at: isActive ? row?.['refresh_token_expires_at'] : null,
    authorization_expires_at: isActive ? row?.['authorization_expires_at'] : null,
    last_refreshed_at: row?.['last_refreshed_at'] ?? null,
    last_verified_at: isActive ? row?.['last_verified_at'] : null,
  });
});

const server = app.listen(Number(PORT), HOST, () => {
  const { port } = server.address() as AddressInfo;
  console.log(JSON.stringify({ address: { port }, msg: 'listening' }));
});
process.once('SIGTERM', () => process.exit(0));
