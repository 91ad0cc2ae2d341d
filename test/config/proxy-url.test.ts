import { describe, expect, it } from '@jest/globals';
import { loadConfig, loadOperatorConfig } from '../../src/config/config.ts';
import { parseProxyUrl } from '../../src/config/proxy-url.ts';
import { PRODUCTION, problemsOf } from '../support/variables.ts';

const PROXY = 'http://proxy.example:3128';

describe('HTTPS_PROXY', () => {
  it.each([
    [PROXY, PROXY, undefined],
    [`${PROXY}/`, PROXY, undefined],
    ['proxy.example:3128', PROXY, undefined],
    ['user:password@proxy.example:3128', PROXY, 'user:password'],
    ['https://proxy.example', 'https://proxy.example', undefined],
    ['http://[::1]:3128', 'http://[::1]:3128', undefined],
    ['http://user:pa:ss%40%25@proxy.example:3128', PROXY, 'user:pa:ss@%'],
    ['http://user@proxy.example:3128', PROXY, 'user:'],
  ])('%s is parsed into address and credentials', (url, origin, credentials) => {
    const authorization = credentials && `Basic ${Buffer.from(credentials).toString('base64')}`;
    expect(parseProxyUrl(url)).toEqual({ origin, authorization });
  });

  it.each([
    ['canary example', /^must be http:/],
    ['socks5://canary:1080', /^must be http:/],
    ['http://', /^must be http:/],
    ['http://canary:99999', /^must be http:/],
    ['http://canary/path', /^must be http:/],
    ['http://canary?query=1', 'has an unknown parameter: none can be set'],
    ['http://user:canary#@proxy', 'contains a #: write it as %23'],
    ['http://user:canary%zz@proxy', 'contains a % that encodes nothing: write it as %25'],
  ])('prevents startup with one line if it is %s, without naming its value', (url, problem) => {
    expect(() => parseProxyUrl(url)).toThrow(problem);
    for (const name of ['HTTPS_PROXY', 'HTTP_PROXY', 'https_proxy', 'http_proxy']) {
      const [line, ...others] = problemsOf({ ...PRODUCTION, [name]: url });
      expect([line, others]).toEqual([expect.stringMatching(`^${name.toUpperCase()} `), []]);
      expect(line).not.toMatch(/canary/);
    }
  });

  it.each<[string, Record<string, string>, [http: string | undefined, https: string | undefined]]>([
    ['nothing', {}, [undefined, undefined]],
    ['nothing but an empty value', { HTTPS_PROXY: '' }, [undefined, undefined]],
    ['HTTPS_PROXY', { HTTPS_PROXY: 'http://a' }, [undefined, 'http://a']],
    ['HTTP_PROXY', { HTTP_PROXY: 'http://b' }, ['http://b', 'http://b']],
    ['both', { HTTPS_PROXY: 'http://a', HTTP_PROXY: 'http://b' }, ['http://b', 'http://a']],
    [
      'both cases',
      { https_proxy: 'http://a', HTTPS_PROXY: 'http://b', http_proxy: 'http://c' },
      ['http://c', 'http://a'],
    ],
  ])('is found in an environment with %s', (_, variables, [http, https]) => {
    const { httpProxy, httpsProxy } = loadConfig({ ...PRODUCTION, ...variables }).egress;
    expect([httpProxy?.origin, httpsProxy?.origin]).toEqual([http, https]);
  });

  it.each(['NO_PROXY', 'no_proxy'])('does not apply to the hosts in %s, separated by commas or spaces', (name) => {
    const variables = { ...PRODUCTION, HTTPS_PROXY: PROXY, [name]: ' a.example, .b.example  10.0.0.0/8,' };
    expect(loadConfig(variables).egress.noProxy).toEqual(['a.example', '.b.example', '10.0.0.0/8']);
  });

  it('applies to operators’ commands as well', () => {
    const { egress } = loadOperatorConfig(
      { ...PRODUCTION, https_proxy: PROXY, no_proxy: '*' },
      { readsCompanies: true },
    );
    expect(egress).toMatchObject({ httpsProxy: { origin: PROXY }, noProxy: ['*'] });
  });
});
