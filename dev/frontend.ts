import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { Config } from '../src/config/config.ts';
import { cannotListen } from '../src/lifecycle/listen.ts';

/** Serves a page in place of Octup's frontend, at the address in FRONTEND_URL. @throws ConfigError */
export async function startFrontend({ frontendUrl, quickbooks }: Config): Promise<void> {
  const { hostname, pathname, port } = new URL(frontendUrl);
  const serve = servePage(pathname, new URL(quickbooks.redirectUri).origin);
  // Browsers use either address of localhost.
  const hosts = hostname === 'localhost' ? ['127.0.0.1', '::1'] : [hostname.replace(/^\[|\]$/g, '')];
  for (const host of hosts) await listenAt(host, Number(port || 80), serve);
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
    const text = await readFile(new URL(file, import.meta.url), 'utf8'); // read for each request, so that a reload shows an edit
    response.writeHead(200, {
      'Content-Type': `${TYPES[file.slice('page.'.length) as keyof typeof TYPES]}; charset=utf-8`,
      'Content-Security-Policy': `default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src ${service}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
      'Cache-Control': 'no-store',
    });
    response.end(text.replaceAll('{{base}}', base).replaceAll('{{service}}', service));
  };
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
