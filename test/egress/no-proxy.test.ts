import { describe, expect, it } from '@jest/globals';
import { isListed } from '../../src/egress/no-proxy.ts';

describe('NO_PROXY', () => {
  it.each([
    ['octup.com', 'octup.com'],
    ['octup.com', 'api.octup.com'],
    ['.octup.com', 'api.octup.com'],
    ['*.octup.com', 'a.b.octup.com'],
    ['.octup.com', 'octup.com'],
    ['OCTUP.com', 'api.octup.COM'],
    ['octup.com:443', 'octup.com'],
    ['*', 'octup.com'],
    ['10.1.2.3', '10.1.2.3'],
    ['10.0.0.0/8', '10.1.2.3'],
    ['10.1.2.3:443', '10.1.2.3'],
    ['fd00::1', '[fd00::1]'],
    ['[fd00::1]:443', '[fd00::1]'],
    ['fd00::/8', '[fd00::1]'],
    ['0.0.0.0/0', '10.1.2.3'],
  ])('%s lists %s', (entry, host) => {
    expect(isListed(host, 443, ['other.example', entry])).toBe(true);
  });

  it.each([
    ['octup.com', 'notoctup.com'],
    ['api.octup.com', 'octup.com'],
    ['octup.com:80', 'octup.com'],
    ['octup.com', 'octup.com.example'],
    ['com', '10.1.2.3'],
    ['2.3', '10.1.2.3'],
    ['10.1.2.4', '10.1.2.3'],
    ['11.0.0.0/8', '10.1.2.3'],
    ['10.0.0.0/33', '10.1.2.3'],
    ['10.0.0.0/x', '10.1.2.3'],
    ['11.0.0.0/', '10.1.2.3'],
    ['10.0.0.0/8', '[fd00::1]'],
    ['10.0.0.0/8', 'octup.com'],
    ['fd00::2', '[fd00::1]'],
    ['http://octup.com', 'octup.com'],
  ])('%s does not list %s', (entry, host) => {
    expect(isListed(host, 443, [entry])).toBe(false);
  });

  it('lists nothing if it is empty', () => {
    expect(isListed('octup.com', 443, [])).toBe(false);
  });
});
