import { describe, expect, it } from '@jest/globals';
import { ReturnPages } from '../../src/auth/return-pages.ts';

const pages = new ReturnPages(['https://app.example/base', 'https://admin.example:8443']);
const CONNECTED = { connected: 'true', system: 'quickbooks' } as const;

describe('ReturnPages', () => {
  it.each([
    ['https://app.example/', 'https://app.example/'],
    ['https://admin.example:8443/a?b=c', 'https://admin.example:8443/a?b=c'],
    ['HTTPS://APP.EXAMPLE:443/x/../y', 'https://app.example/y'],
    [`https://app.example/${'x'.repeat(980)}`, `https://app.example/${'x'.repeat(980)}`],
  ])('accepts %j', (url, normal) => {
    expect(pages.parse(url)).toBe(normal);
  });

  it.each([
    '',
    '/settings',
    '//app.example/',
    'http://app.example/',
    'https://app.example:8443/',
    'https://app.example.evil.example/',
    'https://evil.example/https://app.example/',
    'https://user@app.example/',
    'https://user:password@app.example/',
    'https://app.example@evil.example/',
    'https://evil.example\\@app.example/',
    'https://app.example/#x',
    'https://app.example/#',
    'javascript:alert(1)//https://app.example/',
    'data:text/html,https://app.example/',
    'null',
    'blob:https://app.example/1',
    `https://app.example/${'é'.repeat(500)}`,
    `https://app.example/${'x'.repeat(981)}`,
  ])('rejects %j', (url) => {
    expect(() => pages.parse(url)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  });

  it.each([
    [undefined, 'https://app.example/base/settings/integrations?connected=true&system=quickbooks'],
    ['https://admin.example:8443/a', 'https://admin.example:8443/a?connected=true&system=quickbooks'],
    ['https://app.example/?tab=1', 'https://app.example/?tab=1&connected=true&system=quickbooks'],
    ['https://no-longer.example/', 'https://app.example/base/settings/integrations?connected=true&system=quickbooks'],
  ])('adds the outcome to %j', (url, expected) => {
    expect(pages.withOutcome(url, CONNECTED)).toBe(expected);
  });

  it('replaces what looks like an outcome in the return page’s own query', () => {
    const url = 'https://app.example/?connected=false&error=x&connected=pending&confirmation=y&keep=1';
    expect(pages.withOutcome(url, CONNECTED)).toBe('https://app.example/?keep=1&connected=true&system=quickbooks');
  });
});
