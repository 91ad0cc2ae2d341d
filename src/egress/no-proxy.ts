import { BlockList, isIP } from 'node:net';

/**
 * True if NO_PROXY lists a host: by its name or a parent domain's (`octup.com`, `.octup.com`, `*.octup.com`), its address or
 * a range (`10.0.0.0/8`), each with a port or without; `*` lists every host.
 */
export function isListed(hostname: string, port: number, entries: readonly string[]): boolean {
  const host = hostname.toLowerCase().replace(/^\[(.*)\]$/, '$1');
  return entries.some((entry) => {
    if (entry === '*') return true;
    const { name, port: onlyPort } = parseEntry(entry.toLowerCase());
    if (onlyPort !== undefined && onlyPort !== port) return false;
    return isIP(host) ? isInRange(host, name) : host === name || host.endsWith(`.${name}`);
  });
}

function parseEntry(entry: string): { name: string; port: number | undefined } {
  const isAddress = isIP(entry) === 6; // whose last group is no port
  const [, host = '', port] = (isAddress ? undefined : /^(.+?):(\d+)$/.exec(entry)) ?? [undefined, entry, undefined];
  return { name: host.replace(/^\[(.*)\]$/, '$1').replace(/^\*?\./, ''), port: port ? Number(port) : undefined };
}

function isInRange(address: string, range: string): boolean {
  const [first = '', length, ...rest] = range.split('/');
  const family = isIP(first) === 6 ? 'ipv6' : 'ipv4';
  const maxBits = family === 'ipv6' ? 128 : 32;
  const bits = length ?? String(maxBits);
  if (!isIP(first) || rest.length > 0 || !/^\d+$/.test(bits) || Number(bits) > maxBits) return false;
  const list = new BlockList();
  list.addSubnet(first, Number(bits), family);
  return list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}
