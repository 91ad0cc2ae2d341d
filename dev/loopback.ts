/** Whether a host name or address means this machine and no other. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d+){3}|::1|\[::1\])$/.test(host);
}

/** The port of an http URL, the default one too. */
export function portOf(url: string): number {
  const { port, protocol } = new URL(url);
  return port ? Number(port) : protocol === 'https:' ? 443 : 80;
}

/** The addresses behind the host of a loopback `url`: browsers may take either of localhost's two. */
export function addressesOf(url: string): string[] {
  const { hostname } = new URL(url);
  return hostname === 'localhost' ? ['127.0.0.1', '::1'] : [hostname.replace(/^\[|\]$/g, '')];
}
