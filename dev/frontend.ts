import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { Config } from '../src/config.ts';
import { addressesOf, isLoopback, portOf } from './loopback.ts';

/** Serves the page that stands in for Octup's frontend, at FRONTEND_URL's own address. */
export async function startFrontend({ frontendUrl, quickbooks, server }: Config): Promise<void> {
  const serve = servePage(new URL(frontendUrl).pathname, new URL(quickbooks.redirectUri).origin);
  const addresses = isLoopback(server.host) ? addressesOf(frontendUrl) : [server.host]; // in a container, say
  for (const address of addresses) {
    await listenAt(address, portOf(frontendUrl), serve);
  }
}

const TYPES = { html: 'text/html', css: 'text/css', js: 'text/javascript' };

function servePage(path: string, service: string): RequestListener {
  const base = path.replace(/\/+$/, '');
  const files: Record<string, `page.${keyof typeof TYPES}`> = {
    [base]: 'page.html',
    [`${base}/`]: 'page.html',
    [`${base}/settings/integrations`]: 'page.html',
    [`${base}/page.css`]: 'page.css',
    [`${base}/page.js`]: 'page.js',
  };
  return async (request, response) => {
    const file = files[request.url?.split('?')[0] ?? ''];
    if (!file) return void response.writeHead(404).end();
    const text = await readFile(new URL(file, import.meta.url), 'utf8'); // anew each time: a reload shows an edit
    response.writeHead(200, {
      'Content-Type': `${TYPES[file.slice('page.'.length) as keyof typeof TYPES]}; charset=utf-8`,
      'Content-Security-Policy': `default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src ${service}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
      'Cache-Control': 'no-store',
    });
    response.end(text.replaceAll('{{base}}', base).replaceAll('{{service}}', service));
  };
}

async function listenAt(address: string, port: number, serve: RequestListener): Promise<void> {
  const server = createServer(serve).listen(port, address);
  try {
    await once(server, 'listening');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const withoutIpv6 = address === '::1' && (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT');
    if (!withoutIpv6) throw error;
  }
}
