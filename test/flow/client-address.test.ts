import { describe, expect, it } from '@jest/globals';
import { ConfigError, loadConfig } from '../../src/config/config.ts';
import { ENCRYPTION_KEY } from '../support/environment.ts';
import { allowed, fresh, LIMIT, next, useLimitedService } from '../support/limited-service.ts';
import { PREFIX } from '../support/requests.ts';

const OTHER_VARIABLES = { NODE_ENV: 'test', ENCRYPTION_KEY, OAUTH_STATE_SECRET: 'x'.repeat(32) };
const { begin, call } = useLimitedService();

describe('the client’s address', () => {
  const from = (address: string, forwarded: string) =>
    call(['GET', `${PREFIX}/callback`], address, undefined, { 'X-Forwarded-For': forwarded });

  it('is the connection’s own by default, whatever X-Forwarded-For contains', async () => {
    await begin();
    const here = fresh();
    expect(await allowed(() => from(here, `10.0.0.${next()}`), LIMIT)).toBe(LIMIT);
    expect((await from(fresh(), '10.0.0.1')).status).toBe(400);
  });

  it('is the last one in X-Forwarded-For with TRUST_PROXY=1, whatever precedes it', async () => {
    await begin({ TRUST_PROXY: '1' });
    expect(await allowed(() => from(fresh(), `10.0.0.${next()}, 192.0.2.1`), LIMIT)).toBe(LIMIT);
    expect((await from(fresh(), '192.0.2.2')).status).toBe(400);
    for (const invalid of ['', ',', 'nonsense', '192.0.2.3:4711', '::1%eth0', 'x'.repeat(1000)]) {
      expect((await from(fresh(), invalid)).status).toBe(400);
    }
  });

  it('is read from X-Forwarded-For only if a proxy at one of the addresses in TRUST_PROXY sent it', async () => {
    await begin({ TRUST_PROXY: '127.0.2.0/24, 10.0.0.1' });
    expect(await allowed(() => from('127.0.2.9', '192.0.2.1, 10.0.0.1'), LIMIT)).toBe(LIMIT);
    expect((await from('127.0.2.9', '192.0.2.2')).status).toBe(400);
    const here = fresh();
    expect(await allowed(() => from(here, `10.0.0.${next()}`), LIMIT)).toBe(LIMIT);
  });

  it('is grouped by /64 if it is IPv6, and not grouped if it is an IPv4 address in IPv6 notation', async () => {
    await begin({ TRUST_PROXY: '1' });
    expect(await allowed(() => from(fresh(), `2001:db8:1:2::${next()}`), LIMIT)).toBe(LIMIT);
    expect((await from(fresh(), '2001:db8:1:3::1')).status).toBe(400);
    expect(await allowed(() => from(fresh(), '::ffff:198.51.100.1'), LIMIT)).toBe(LIMIT);
    expect((await from(fresh(), '198.51.100.1')).status).toBe(429);
    expect((await from(fresh(), '::ffff:198.51.100.2')).status).toBe(400);
  });

  it.each(['true', 'everyone', '300.0.0.1', '10.0.0.0/33', '10.0.0.0/99', '::/129', '-1', '1,2'])(
    'cannot be configured by TRUST_PROXY=%s, which prevents the start',
    (TRUST_PROXY) => {
      const load = () => loadConfig({ ...OTHER_VARIABLES, TRUST_PROXY });
      expect(load).toThrow(ConfigError);
      expect(load).toThrow(/^TRUST_PROXY must be/);
    },
  );
});
