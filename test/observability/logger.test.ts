import { describe, expect, it } from '@jest/globals';
import { type Config, loadConfig } from '../../src/config/config.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { ProviderError } from '../../src/strategies/provider-error.ts';

const SECRETS = [
  ...['access_token', 'accessToken', 'refresh_token', 'refreshToken', 'client_secret', 'clientSecret'],
  ...['password', 'authorization', 'cookie', 'set-cookie', 'query'],
];

describe('the log', () => {
  it.each(SECRETS)('redacts a field named %s, down to the third level', async (name) => {
    const { logger, lines } = await logAt('trace');
    const secret = { [name]: 'canary' };
    logger.info(secret);
    logger.info({ a: secret });
    logger.info({ a: { b: secret } });
    logger.error({ err: Object.assign(new Error('x'), secret) });
    logger.child(secret).info('child');
    expect(lines).toHaveLength(5);
    expect(lines.join()).not.toContain('canary');
    expect(lines.join()).toContain('[redacted]');
  });

  it('contains what Intuit’s support asks for after a failure', async () => {
    const { logger, lines } = await logAt('info');
    logger.warn({ err: new ProviderError('unavailable', { status: 503, intuitTid: '1-tid' }) });
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      err: { failure: 'unavailable', details: { status: 503, intuitTid: '1-tid' } },
    });
  });

  it('omits lines below its level', async () => {
    const { logger, lines } = await logAt('warn');
    logger.info('no');
    logger.warn('yes');
    expect(lines.map((line) => JSON.parse(line).msg)).toEqual(['yes']);
  });
});

async function logAt(level: Config['logLevel']) {
  const key = Buffer.alloc(32).toString('base64');
  const config = loadConfig({
    NODE_ENV: 'test',
    ENCRYPTION_KEY: key,
    OAUTH_STATE_SECRET: 'x'.repeat(32),
    LOG_LEVEL: level,
  });
  const lines: string[] = [];
  return { logger: await createLogger(config, { write: (line) => lines.push(line) }), lines };
}
