import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from '@jest/globals';
import { createAuthority } from './certificates.ts';
import { projectFile, startProcess } from './processes.ts';
import { closedPort } from './tcp-relay.ts';
import { until } from './until.ts';

/** A proxy with this project's configuration, in front of a service. */
export interface ReverseProxy {
  /** Its address for callers. */
  origin: string;
  /** Its address without TLS. */
  plainOrigin: string;
  /** The authority of its certificate, in PEM. */
  ca: string;
  /** Starts it. @param change of its configuration, which then differs from the project's */
  start(servicePort: string, change?: (settings: string) => string): Promise<void>;
  /** Everything that it has logged. */
  output(): string;
  close(): Promise<void>;
}

/** A program, and how its configuration is adapted to this machine. */
interface Kind {
  command: string;
  /** The project's configuration of it. */
  file: string;
  /** What makes the program check its configuration, and end. */
  check: string;
  /** A page that the program sends for what it cannot parse, and that cannot be replaced. */
  ownPage?: string;
  adapt(settings: string, addresses: Addresses): string;
  arguments(folder: string, file: string): string[];
}

interface Addresses {
  folder: string;
  servicePort: string;
  securePort: number;
  plainPort: number;
}

/** What nginx writes to folders that only root can create. */
const NGINX_FOLDERS = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];

const NGINX: Kind = {
  command: 'nginx',
  check: '-t',
  file: 'deploy/nginx.conf',
  adapt: (settings, { folder, servicePort, securePort, plainPort }) =>
    replaced(settings, [
      // What nginx before 1.27 cannot do: look up replicas, of which there is one here.
      ['resolver 127.0.0.11 valid=5s;', ''],
      ['server service:8080 resolve fail_timeout=2s;', `server 127.0.0.1:${servicePort} fail_timeout=2s;`],
      ['http2 on;', ''],
      ['listen 8443 ssl;', `listen 127.0.0.1:${securePort} ssl http2;`],
      ['listen 8080;', `listen 127.0.0.1:${plainPort};`],
      ['access_log /dev/stdout', `access_log ${folder}/access.log`], // which cannot be opened if it is a socket
      ['http {', `http { ${NGINX_FOLDERS.map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}`],
    ]),
  arguments: (folder, file) => ['-p', folder, '-c', file, '-g', `daemon off; pid ${folder}/pid;`],
};

const HAPROXY: Kind = {
  command: 'haproxy',
  check: '-c',
  ownPage: '<html><body><h1>400 Bad request</h1>\nYour browser sent an invalid request.\n</body></html>\n',
  file: 'deploy/haproxy.cfg',
  adapt: (settings, { folder, servicePort, securePort, plainPort }) =>
    replaced(settings, [
      ['bind :8080', `bind 127.0.0.1:${plainPort}`],
      ['bind :8443', `bind 127.0.0.1:${securePort}`],
      ['/etc/haproxy/certificates/service.pem', `${folder}/certificates/service.pem`],
      ['resolvers docker init-addr none', ''],
      ['server-template replica 10 service:8080', `server replica 127.0.0.1:${servicePort}`],
      ['server-template replica 10 service:8080', `server replica 127.0.0.1:${servicePort}`],
    ]),
  arguments: (_folder, file) => ['-db', '-f', file],
};

/** Declares the suite once for each proxy that this project has a configuration for. */
export function describeEachProxy(title: string, suite: (kind: Kind) => void): void {
  (process.env['HAS_NGINX'] ? describe : describe.skip)(`${title} behind nginx`, () => suite(NGINX));
  (process.env['HAS_HAPROXY'] ? describe : describe.skip)(`${title} behind HAProxy`, () => suite(HAPROXY));
}

/** Prepares a proxy with addresses of its own. */
export async function prepareProxy(kind: Kind): Promise<ReverseProxy> {
  const folder = mkdtempSync(join(tmpdir(), 'reverse-proxy-'));
  chmodSync(folder, 0o755); // nginx' workers run as another user
  const ca = writeCertificates(folder);
  const [securePort, plainPort] = [await closedPort(), await closedPort()];
  let proxy: ReturnType<typeof startProcess> | undefined;
  return {
    origin: `https://127.0.0.1:${securePort}`,
    plainOrigin: `http://127.0.0.1:${plainPort}`,
    ca,
    start: async (servicePort, change = (settings) => settings) => {
      const settings = readFileSync(projectFile(kind.file), 'utf8');
      const file = join(folder, 'settings.conf');
      writeFileSync(file, change(kind.adapt(settings, { folder, servicePort, securePort, plainPort })));
      const args = kind.arguments(folder, file);
      const check = spawnSync(kind.command, [...args, kind.check], { encoding: 'utf8' });
      if (check.status !== 0) throw new Error(`${kind.command} rejects its configuration: ${check.stderr}`);
      proxy = startProcess({ command: kind.command, args, env: {}, cwd: folder });
      await until(() => isOpen(securePort));
    },
    output: () => {
      const accessLog = join(folder, 'access.log');
      return `${proxy?.stdout()}${proxy?.stderr()}${existsSync(accessLog) ? readFileSync(accessLog, 'utf8') : ''}`;
    },
    close: async () => {
      await proxy?.kill('SIGTERM');
    },
  };
}

/** Returns the authority's certificate. */
function writeCertificates(folder: string): string {
  const certificates = join(folder, 'certificates');
  mkdirSync(certificates);
  const authority = createAuthority(certificates, 'authority');
  const { certificate, key } = authority.issue('fullchain', ['DNS:localhost', 'IP:127.0.0.1']);
  copyFileSync(key, join(certificates, 'privkey.pem'));
  writeFileSync(join(certificates, 'service.pem'), readFileSync(certificate, 'utf8') + readFileSync(key, 'utf8'));
  return readFileSync(authority.certificate, 'utf8');
}

/** @throws Error if a text is not there: the configuration has changed. */
function replaced(settings: string, replacements: [from: string, to: string][]): string {
  return replacements.reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`the configuration does not contain ${from}`);
    return text.replace(from, () => to);
  }, settings);
}

async function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
