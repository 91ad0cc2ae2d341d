import { describe, expect, it } from '@jest/globals';
import { createSqlite } from '../support/databases.ts';
import { call, expectOwnError, sendSlowly } from '../support/gateway.ts';
import { useHarness } from '../support/harness.ts';
import { until } from '../support/until.ts';

const MIB = 1024 * 1024;

const harness = useHarness(createSqlite);

it('a gateway request whose token is rejected is not repeated for a company that was connected meanwhile', async () => {
  await harness.connect('org', '1');
  const release = harness.simulator.hold({ on: 'api', kind: 'slow' });
  const response = call(harness.service, 'org', 'invoice', { method: 'POST', body: '{"for":"company 1"}' });
  await until(() => harness.simulator.callsTo('api').length === 1);
  const first = harness.simulator.callsTo('api');
  harness.simulator.expireAccessTokens('1');
  await harness.connect('org', '2');
  release();
  await expectOwnError(await response, 503, 'provider_unavailable');
  expect([first[0]?.path, harness.simulator.callsTo('api')]).toEqual(['/v3/company/1/invoice', []]);
});

describe('a gateway request whose body is large', () => {
  it('is not sent to a company that was connected while the body arrived', async () => {
    await harness.connect('large', '3');
    const { sent, pending } = await beginBody('large');
    await harness.connect('large', '4');
    harness.simulator.resetCalls();
    sent.end(Buffer.alloc(MIB));
    expect(await pending).toMatchObject({ status: 503, body: expect.stringContaining('provider_unavailable') });
    expect(harness.simulator.callsTo('api')).toEqual([]);
  });

  it('proves a connection that replaced the same company’s while the body arrived', async () => {
    await harness.connect('again', '5');
    const { sent, pending } = await beginBody('again');
    harness.simulator.fail({ on: 'companyinfo', kind: 'status', status: 503 });
    await harness.connect('again', '5');
    harness.simulator.clearFaults();
    harness.simulator.resetCalls();
    sent.end(Buffer.alloc(MIB));
    expect(await pending).toMatchObject({ status: 200 });
    expect(harness.simulator.calls.map(({ path }) => path)).toEqual([
      '/v3/company/5/companyinfo/5',
      '/v3/company/5/echo',
    ]);
  });

  /** Sends the beginning of a body, in chunks, and waits until the organization's connection was read for it. */
  async function beginBody(organization: string): Promise<ReturnType<typeof sendSlowly>> {
    harness.queries.splice(0);
    const slow = sendSlowly(harness.service, organization);
    slow.sent.write(Buffer.alloc(MIB));
    await until(() => harness.queries.some((sql) => sql.includes('oauth_tokens')));
    return slow;
  }
});
