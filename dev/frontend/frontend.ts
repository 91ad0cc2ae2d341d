import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import type { Config } from '../../src/config/config.ts';
import { cannotListen } from '../../src/lifecycle/listen.ts';
import type { Issuer } from './issuer.ts';

/** Serves a page in place of Octup's frontend, at the address in FRONTEND_URL, and its users' tokens. @throws ConfigError */
export async function startFrontend({ frontendUrl, quickbooks }: Config, issuer: Issuer): Promise<void> {
  const { host, hostname, pathname, port } = new URL(frontendUrl);
  const base = pathname.replace(/\/+$/, '');
  const serve = serveFrontend({ base, host, service: publicAddress(quickbooks.redirectUri), issuer });
  // Browsers use either address of localhost.
  const hosts = hostname === 'localhost' ? ['127.0.0.1', '::1'] : [hostname.replace(/^\[|\]$/g, '')];
  for (const host of hosts) await listenAt(host, Number(port || 80), serve);
}

/** The service's public address, without the callback's path. */
function publicAddress(redirectUri: string): string {
  return redirectUri.replace(/\/api\/v1\/.*$/, '');
}

interface Site {
  /** The path of FRONTEND_URL. */
  base: string;
  /** The host of FRONTEND_URL, with its port. */
  host: string;
  service: string;
  issuer: Issuer;
}

const TYPES: Record<string, string> = { html: 'text/html', css: 'text/css', js: 'text/javascript' };

function serveFrontend({ base, host, service, issuer }: Site): RequestListener {
  const files: Record<string, string> = {
    [base]: 'page.html',
    [`${base}/`]: 'page.html',
    [`${base}/settings/integrations`]: 'page.html',
    [`${base}/settings/integrations/returned`]: 'returned.html',
  };
  for (const name of ['page.css', 'page.js', 'quickbooks.js', 'messages.js', 'returned.js']) {
    files[`${base}/${name}`] = name;
  }
  return async (request, response) => {
    const path = request.url?.split('?')[0] ?? '';
    const file = files[path];
    if (file) return sendFile(file, response, { base, service });
    if (path === `${base}/.well-known/jwks.json`) return sendJson(response, 200, await issuer.keySet());
    if (path === `${base}/session` && request.method === 'POST') return sendToken(request, response, { issuer, host });
    response.writeHead(404).end();
  };
}

async function sendFile(file: string, response: ServerResponse, { base, service }: Pick<Site, 'base' | 'service'>) {
  const text = await readFile(new URL(file, import.meta.url), 'utf8'); // read for each request, so that a reload shows an edit
  response.writeHead(200, {
    'Content-Type': `${TYPES[file.split('.')[1] ?? '']}; charset=utf-8`,
    'Content-Security-Policy': `default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self' ${new URL(service).origin}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    'Cache-Control': 'no-store',
  });
  response.end(text.replaceAll('{{base}}', base).replaceAll('{{service}}', service));
}

/** Only to this frontend's own page: any other page that the developer opens could ask for a token as well. */
async function sendToken(
  request: IncomingMessage,
  response: ServerResponse,
  { issuer, host }: Pick<Site, 'issuer' | 'host'>,
): Promise<void> {
  const isOwnPage = request.headers['sec-fetch-site'] === 'same-origin' && request.headers.host === host;
  if (!isOwnPage) return sendJson(response, 403, { error: 'forbidden' });
  try {
    const { organization } = (await json(request)) as { organization: unknown };
    sendJson(response, 200, await issuer.issue(String(organization)));
  } catch {
    sendJson(response, 400, { error: 'invalid_request' });
  }
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' });
  response.end(JSON.stringify(body));
}

async function listenAt(host: string, port: number, serve: RequestListener): Promise<void> {
  const server = createServer(serve).listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const hasNoIpv6 = host === '::1' && (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT');
    if (!hasNoIpv6) throw cannotListen(error, { host, port, variable: 'FRONTEND_URL' });
  }
}
