import { expect, it } from '@jest/globals';
import { createSqlite } from '../support/databases.ts';
import { call, expectOwnError } from '../support/gateway.ts';
import { useHarness } from '../support/harness.ts';
import { until } from '../support/until.ts';

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
