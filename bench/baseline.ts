import type { AddressInfo } from 'node:net';
import express from 'express';
import mysql from 'mysql2/promise';
import { Client } from 'undici';
import { Fernet } from '../src/crypto/fernet.ts';

// The minimal code that returns a status, and that forwards a call, with the same libraries: the same row, and JSON of the
// same form. It has no authentication, limits, metrics or logs.
const POOL_SIZE = 10; // as in the service
const COLUMNS = [
  ...['accounting_system', 'realm_id', 'company_name', 'is_active', 'deactivation_reason', 'access_token_expires_at'],
  ...['refresh_token_expires_at', 'authorization_expires_at', 'last_refreshed_at', 'last_verified_at'],
];

const { DATABASE_URL = '', ENCRYPTION_KEY = '', QBO_API_BASE_URL = '', PORT, HOST = '' } = process.env;
const pool = mysql.createPool({ uri: DATABASE_URL, timezone: 'Z', charset: 'utf8mb4', connectionLimit: POOL_SIZE });
const fernet = new Fernet([ENCRYPTION_KEY]);
const upstream = new Client(QBO_API_BASE_URL);
const app = express();
app.disable('etag'); // as in the service

app.get('/api/v1/oauth/quickbooks/status/:organization_id', async (request, response) => {
  const row = await find(request.params.organization_id, COLUMNS);
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

app.get('/api/v1/quickbooks/:organization_id/*resource', async (request, response) => {
  const row = await find(request.params.organization_id, ['realm_id', 'access_token']);
  const { statusCode, headers, body } = await upstream.request({
    path: `/v3/company/${row?.['realm_id']}/${request.params.resource.join('/')}`,
    method: 'GET',
    headers: { authorization: `Bearer ${fernet.decrypt(row?.['access_token'])}`, accept: 'application/json' },
  });
  const { 'content-type': type, 'content-length': length } = headers;
  response.writeHead(statusCode, { 'content-type': String(type), 'content-length': String(length) });
  body.pipe(response);
});

async function find(organizationId: string, columns: string[]): Promise<mysql.RowDataPacket | undefined> {
  const [[row]] = await pool.query<mysql.RowDataPacket[]>(
    `select ${columns} from oauth_tokens where organization_id = ? and accounting_system = ? and current_key = 1 limit 1`,
    [organizationId, 'quickbooks'],
  );
  return row;
}

const server = app.listen(Number(PORT), HOST, () => {
  const { port } = server.address() as AddressInfo;
  console.log(JSON.stringify({ address: { port }, msg: 'listening' }));
});
process.once('SIGTERM', () => process.exit(0));
