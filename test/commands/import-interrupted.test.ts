import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { TokenCipher } from '../../src/crypto/token-cipher.ts';
import { describeOnServer } from '../support/databases.ts';
import { ENCRYPTION_KEY } from '../support/environment.ts';
import { useHarness } from '../support/harness.ts';
import { foreignLines, toCsv } from '../support/imports.ts';
import { BUILT, operatorVariables } from '../support/operator.ts';
import { run, runToEnd } from '../support/processes.ts';
import { until } from '../support/until.ts';

const CONNECTIONS = 500;

describeOnServer('an import of five hundred connections', (createDatabase) => {
  const harness = useHarness(createDatabase);

  it('that is killed twice ends with all of them connected, and with every rotated token', async () => {
    const { simulator } = harness;
    const folder = mkdtempSync(join(tmpdir(), 'import-'));
    const file = join(folder, 'connections.csv');
    writeFileSync(file, toCsv(await foreignLines(simulator, CONNECTIONS)));
    simulator.resetCalls();
    const args = ['connections', 'import', file, '--rate', '1000'];
    const env = { ...operatorVariables(harness), PROVIDER_TIMEOUT_MS: '1000' }; // how long a killed process keeps its lease

    // The first is killed while it sends a token, the second once it has saved one and proves its company.
    for (const on of ['token', 'companyinfo'] as const) {
      const importing = run(BUILT, args, env);
      await until(() => harness.refreshes() >= 150);
      const release = simulator.hold({ on, kind: 'slow' });
      await until(() => simulator.calls.some(({ fault, status }) => fault === 'slow' && status === undefined));
      expect(await importing.kill('SIGKILL')).toBe('SIGKILL');
      release();
      simulator.resetCalls();
    }
    const last = await runToEnd(BUILT, args, env);
    expect(last).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^Imported \d+ of 500 lines; \d+ imported before, 0 skipped .* 0 failed\.\n$/),
      stderr: '',
    });

    const rows = await harness.knex('oauth_tokens').where({ is_active: 1 }).whereNotNull('last_verified_at');
    expect(rows).toHaveLength(CONNECTIONS);
    const cipher = new TokenCipher([ENCRYPTION_KEY]);
    const lost = rows.filter(
      ({ realm_id, refresh_token }) =>
        refresh_token === '' || cipher.decrypt(refresh_token) !== simulator.grantFor(realm_id)?.refreshToken,
    );
    expect(lost).toEqual([]);
    const events = await harness.knex('connection_events');
    expect(new Set(events.map(({ type }) => type))).toEqual(new Set(['imported']));
    expect(events).toHaveLength(CONNECTIONS);
    rmSync(folder, { recursive: true });
  }, 900_000); // only ends what hangs
});
