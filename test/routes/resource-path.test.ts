import { describe, expect, it } from '@jest/globals';
import type { Request } from 'express';
import fc from 'fast-check';
import { resourcePath } from '../../src/routes/resource-path.ts';

const BASE = '/v3/company';
const COMPANY = 'http://intuit.example/v3/company/1/';

describe('a resource path', () => {
  it.each([
    'invoice/1',
    'invoice/12/pdf',
    'reports/ProfitAndLoss',
    'companyinfo/9341452000000001?minorversion=75',
    "query?query=select%20*%20from%20Invoice%20where%20Name='O''Brien'&a=b+c",
    'query?query=select%20%2a%20from%20Item&start=%E2%82%AC/../x',
    'invoice/1/send?sendTo=a%40b.example',
    'a.b/c..d/...',
    "~x/!$&'()*+,=:@",
    'x?',
    'x??a=?&b=//',
  ])('is passed on exactly as it was sent: %s', (resource) => {
    expect(resourceOf(resource)).toBe(resource.replace(/^x\?$/, 'x'));
  });

  it.each([
    '..',
    '.',
    '../2/invoice/1',
    'invoice/../../2/invoice',
    'invoice/./1',
    'invoice/..',
    '%2e%2e/2',
    '.%2E/2',
    'invoice%2f..%2f2',
    'invoice%2F1',
    '%5c..%5c2',
    '..\\2',
    'invoice\\1',
    '/evil.example',
    '//evil.example/x',
    'invoice//1',
    'invoice/',
    '',
    'http://evil.example/x',
    'invoice/%00',
    'invoice/%0d%0aX:1',
    'invoice/%7f',
    'invoice/\u0001',
    'invoice/a b',
    'invoice/%252e%252e',
    'invoice/%25',
    'invoice/%',
    'invoice/%zz',
    'invoice/é',
    'invoice/1#x',
    'invoice/1?a=é',
    'invoice/1?a= b',
    'invoice/1?a=\r\n',
    '{x}',
    '[::1]',
  ])('is rejected if it could leave the company: %j', (resource) => {
    expect(() => resourceOf(resource)).toThrow(/invalid_request/);
  });

  // Tomcat and similar servers remove what follows a `;` before they resolve dots: for them `..;x` is `..`.
  it.each(['..;/2/invoice/1', '..;x=y/2', '.;/1', '..%3b/2/invoice', '..%3B/2'])(
    'is rejected if it could leave the company: %j',
    (resource) => {
      expect(() => resourceOf(resource)).toThrow(/invalid_request/);
    },
  );

  it.each(['query?query=select#x', 'query?query=select%20*#', 'query?#', 'invoice/1#x', '#'])(
    'is rejected if a # would end it: %j',
    (resource) => {
      expect(() => resourceOf(resource)).toThrow(/invalid_request/);
    },
  );

  it('keeps an encoded #, which is part of a value', () => {
    expect(resourceOf("query?query=select%20*%20where%20x='%23'")).toBe("query?query=select%20*%20where%20x='%23'");
  });

  it('is rejected if the request line names another host', () => {
    expect(() => resourcePath(request(`http://evil.example${BASE}/org/invoice/1`))).toThrow(/invalid_request/);
  });

  it('never leaves the company, whatever its characters', () => {
    const piece = fc.constantFrom(
      '..',
      '.',
      '/',
      '\\',
      '%2e',
      '%2f',
      '%5c',
      '%25',
      '%',
      '2',
      ';',
      '@',
      '?',
      '#',
      ':',
      'a',
    );
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 12 }), (pieces) => {
        const resource = resourceOrUndefined(pieces.join(''));
        if (resource === undefined) return;
        let path = resource.replace(/\?.*$/s, '');
        for (let times = 0; times < 3; times += 1) path = decodeOnce(path).replaceAll('\\', '/');
        for (const interpretation of [path, path.replace(/;[^/]*/g, '')]) {
          expect(new URL(COMPANY + interpretation).pathname).toMatch(/^\/v3\/company\/1\//);
        }
      }),
      { numRuns: 5_000 },
    );
  });
});

function resourceOrUndefined(resource: string): string | undefined {
  try {
    return resourceOf(resource);
  } catch {
    return undefined;
  }
}

function decodeOnce(path: string): string {
  return path.replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function resourceOf(resource: string): string {
  return resourcePath(request(`${BASE}/org/${resource}`));
}

function request(originalUrl: string): Request {
  return { originalUrl, baseUrl: BASE } as Request;
}
