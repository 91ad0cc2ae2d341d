import { writeFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { TokenCipher } from '../../src/crypto/token-cipher.ts';
import type { PlainToken } from '../../src/models/connection.ts';
import { createSqlite } from '../support/databases.ts';
import { ENCRYPTION_KEY } from '../support/environment.ts';
import { useHarness } from '../support/harness.ts';
import { foreignLines, foreignToken, toCsv, toJsonLines, useImportFile } from '../support/imports.ts';
import { BUILT, Operator, operatorVariables } from '../support/operator.ts';
import { run } from '../support/processes.ts';
import { PREFIX } from '../support/requests.ts';
import { until } from '../support/until.ts';

describe('npm run connections', () => {
  const harness = useHarness(createSqlite, { isolated: true });
  const operator = new Operator(harness);
  const { file, report } = useImportFile();

  describe('list', () => {
    it('prints an aligned table, and with --json an array with the fields of the API', async () => {
      await harness.connect('acme', '71');
      await harness.connect('globex', '72');
      await harness.deactivate('globex');
      const { code, stdout, stderr } = await operator.run('list');
      expect([code, stderr]).toEqual([0, '']);
      expect(stdout).toMatch(/^organization company name +state +last accepted \(UTC\) authorized until \(UTC\)\n/);
      expect(stdout).toMatch(/^acme +71 +Sandbox Company 71 active .*\n.*\n2 connections\.\n$/m);
      expect(stdout).toMatch(/^globex +72 +Sandbox Company 72 lost: authorization_revoked /m);
      const { connections } = (await harness.service.http.get(`${PREFIX}/connections`)).body;
      expect(JSON.parse((await operator.run('list', '--json')).stdout)).toEqual(connections);
    });

    it('prints only those in a state or of a company, on as many pages as there are', async () => {
      for (const organization of ['a', 'b']) await harness.connect(organization, '73');
      await harness.connect('c', '74');
      await harness.deactivate('b');
      const listed = async (...args: string[]) =>
        JSON.parse((await operator.run('list', '--json', ...args)).stdout).map(
          ({ organization_id }: { organization_id: string }) => organization_id,
        );
      expect(await listed('--state', 'lost')).toEqual(['b']);
      expect(await listed('--realm', '73')).toEqual(['a', 'b']);
      expect(await listed('--realm', '75')).toEqual([]);
      expect((await operator.run('list', '--state', 'expiring')).stdout).toBe('0 connections.\n');
    });

    it('draws borders on a terminal, and lets no company’s name control it', async () => {
      harness.simulator.setCompany('76', 'Evil\u001b[2J\u009b31m');
      await harness.connect('acme', '76');
      const { code, shown } = await operator.runOnTerminal('', 'list');
      expect([code, shown]).toEqual([0, expect.stringMatching(/│ acme +│ 76 +│ Evil�\[2J�31m +│ active/)]);
      expect((await operator.run('list', '--json')).stdout).toContain('\\u001b[2J\\u009b31m');
    });
  });

  it('show prints one connection, who else uses its company, and with --json the fields of the API', async () => {
    await harness.connect('acme', '77');
    await harness.connect('globex', '77');
    const { code, stdout } = await operator.run('show', 'acme');
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^state +active$/m)]);
    expect(stdout).toMatch(/^others on this company +globex$/m);
    const { body } = await harness.service.http.get(`${PREFIX}/status/acme`);
    const shown = JSON.parse((await operator.run('show', 'acme', '--json')).stdout);
    expect(shown).toEqual({ organization_id: 'acme', ...body });
    await harness.deactivate('acme');
    expect((await operator.run('show', 'acme')).stdout).toMatch(/^state +lost: authorization_revoked$/m);
  });

  it('events prints the timeline, newest first', async () => {
    await harness.connect('acme', '78');
    await harness.disconnect('acme');
    const { code, stdout } = await operator.run('events', 'acme');
    expect([code, stdout]).toEqual([0, expect.stringMatching(/ disconnected .*\n.* connected .*\n2 events\.\n$/)]);
    expect(JSON.parse((await operator.run('events', 'acme', '--limit', '1', '--json')).stdout)).toMatchObject([
      { type: 'disconnected', actor: 'billing' },
    ]);
    expect((await operator.run('events', 'unconnected')).stdout).toBe('0 events.\n');
  });

  describe('disconnect', () => {
    it('asks on a terminal, and needs --yes without one', async () => {
      await harness.connect('acme', '79');
      expect(await operator.runOnTerminal('no', 'disconnect', 'acme')).toEqual({
        code: 1,
        shown: expect.stringMatching(/disconnects acme from company 79.*Nothing was changed\.\n$/s),
      });
      const { code, stderr } = await operator.run('disconnect', 'acme');
      expect([code, stderr]).toEqual([1, expect.stringMatching(/^This disconnects acme .* add --yes\.\n$/)]);
      expect(await harness.activeRows('acme')).toHaveLength(1);
      const { shown } = await operator.runOnTerminal('yes', 'disconnect', 'acme');
      expect(shown).toMatch(/Disconnected acme from company 79 \(Sandbox Company 79\)\. Its grant is revoked\.\n$/);
      expect(harness.simulator.grantFor('79')).toMatchObject({ revoked: true });
      expect(await harness.events('acme')).toMatchObject([{}, { type: 'disconnected', actor: 'operator' }]);
    });

    it('says that the grant could not be revoked, or is used by others', async () => {
      await harness.connect('acme', '80');
      await harness.connect('globex', '80');
      expect((await operator.run('disconnect', 'acme', '--yes')).stdout).toMatch(/not revoked: globex also uses/);
      harness.simulator.fail({ on: 'revoke', kind: 'status', status: 503 });
      expect((await operator.run('disconnect', 'globex', '--yes')).stdout).toMatch(/the worker retries it\.\n$/);
      expect(await harness.pendingRevocations()).toHaveLength(1);
    });
  });

  it('disconnect says what became of this grant, whatever becomes of others of its company', async () => {
    const disconnect = async () => (await operator.run('disconnect', 'acme', '--yes')).stdout;
    await harness.connect('globex', '80');
    harness.simulator.fail({ on: 'revoke', kind: 'status', status: 503 });
    await harness.disconnect('globex');
    await harness.connect('initech', '80');
    await harness.set('initech', { last_verified_at: null });
    await harness.connect('acme', '80');
    expect(await disconnect()).toMatch(/\. Its grant is revoked\.\n$/);
    expect(await harness.pendingRevocations()).toHaveLength(1);
    await harness.connect('acme', '81');
    await harness.deactivate('acme');
    await harness.set('acme', { access_token: '', refresh_token: '' });
    harness.simulator.resetCalls();
    expect(await disconnect()).toMatch(/there was no grant to revoke\.\n$/);
    expect(harness.revocations()).toBe(0);
  });

  it('recover does not count a connection that is disconnected meanwhile', async () => {
    for (const [args, ended] of [
      [
        ['recover', 'acme'],
        { code: 1, stdout: '', stderr: expect.stringMatching(/^acme was not recovered: it was disco/) },
      ],
      [
        ['recover'],
        { code: 0, stdout: expect.stringMatching(/^Recovered 0 of 1 .* 1 ended meanwhile\.\n$/), stderr: '' },
      ],
    ] as const) {
      await harness.connect('acme', '82');
      await harness.deactivate('acme');
      const release = harness.simulator.hold({ on: 'token', kind: 'slow' });
      const recovering = operator.run(...args);
      await until(() => harness.refreshes() > 0);
      harness.simulator.fail({ on: 'revoke', kind: 'status', status: 503 });
      await harness.disconnect('acme');
      release();
      expect(await recovering).toEqual(ended);
    }
  });

  it('recover retries one lost connection, or all of them', async () => {
    for (const [organization, realm] of [
      ['alive', '81'],
      ['dead', '82'],
      ['also', '83'],
    ] as const) {
      await harness.connect(organization, realm);
      await harness.deactivate(organization);
    }
    harness.simulator.revokeGrant('82');
    const one = await operator.run('recover', 'alive');
    expect([one.code, one.stdout]).toEqual([0, 'Recovered alive.\n']);
    expect(await harness.eventTypes('alive')).toEqual(['connected', 'recovered']);
    expect((await operator.run('recover', 'alive')).stdout).toBe('alive is not lost.\n');
    const dead = await operator.run('recover', 'dead');
    expect([dead.code, dead.stderr]).toEqual([1, expect.stringMatching(/^dead was not recovered: .* rejected.*\n$/)]);
    await harness.endBackOffs();
    const all = await operator.run('recover');
    expect([all.code, all.stdout]).toEqual([
      0,
      expect.stringMatching(/^Recovered 1 of 2 lost connections; 1 rejected/),
    ]);
    expect(await harness.activeRows('also')).toHaveLength(1);
    await harness.endBackOffs();
    harness.simulator.fail({ on: 'token', kind: 'status', status: 503 });
    const down = await operator.run('recover');
    expect([down.code, down.stderr]).toEqual([1, '1 have no result yet: run it again later.\n']);
  });

  it('verify refreshes one connection or all, reads the companies again, and finds those that ended', async () => {
    await harness.connect('acme', '84');
    await harness.connect('gone', '85');
    harness.simulator.setCompany('84', 'Renamed');
    const one = await operator.run('verify', 'acme');
    expect([one.code, one.stdout]).toEqual([0, 'Verified acme: company 84 (Renamed).\n']);
    harness.simulator.revokeGrant('85');
    const all = await operator.run('verify');
    expect([all.code, all.stdout]).toEqual([1, 'Verified 1 of 2 active connections.\n']);
    expect(all.stderr).toBe('Not verified: gone (lost).\n');
    expect(await harness.eventTypes('gone')).toEqual(['connected', 'lost']);
    const lost = await operator.run('verify', 'gone');
    expect([lost.code, lost.stderr]).toEqual([1, expect.stringMatching(/^gone was not verified: it is lost/)]);
  });

  it('verify names a connection whose new access token is rejected, and that cannot be refreshed again', async () => {
    await harness.connect('acme', '84');
    harness.simulator.resetCalls();
    const release = harness.simulator.hold({ on: 'companyinfo', kind: 'slow' });
    const verifying = operator.run('verify');
    await until(() => harness.simulator.callsTo('api').length === 1);
    harness.simulator.revokeGrant('84');
    release();
    expect(await verifying).toMatchObject({ code: 1, stderr: 'Not verified: acme (not_refreshed).\n' });
    expect(await harness.eventTypes('acme')).toEqual(['connected', 'lost']);
  });

  it('recount corrects the totals', async () => {
    await operator.run('recount');
    await harness.connect('acme');
    await harness.knex('oauth_tokens').delete();
    expect((await operator.run('recount')).stdout).toBe(
      '0 active and 0 lost connections (before: 1 active, 0 lost).\n',
    );
    expect((await operator.run('recount')).stdout).toBe('0 active and 0 lost connections (as before).\n');
  });

  it('erase needs --yes, and deletes everything once the grant is revoked', async () => {
    await harness.connect('acme', '86');
    expect(await operator.run('erase', 'acme')).toMatchObject({ code: 1, stderr: expect.stringMatching(/--yes\.\n$/) });
    harness.simulator.fail({ on: 'revoke', kind: 'status', status: 503, times: null });
    const early = await operator.run('erase', 'acme', '--yes');
    expect([early.code, early.stderr]).toEqual([
      1,
      expect.stringMatching(/^acme is disconnected, but nothing was deleted/),
    ]);
    harness.simulator.clearFaults();
    const { code, stdout } = await operator.run('erase', 'acme', '--yes');
    expect([code, stdout]).toEqual([0, 'Erased acme: 1 connection, 2 events.\n']);
    expect([await harness.rows('acme'), await harness.events('acme')]).toEqual([[], []]);
  });

  describe('import', () => {
    it.each([
      ['JSON Lines', toJsonLines],
      [
        'CSV as Excel writes it',
        (lines: Parameters<typeof toCsv>[0]) => `\ufeff${toCsv(lines).replaceAll(',', ';').replaceAll('\n', '\r\n')}`,
      ],
    ])('connects the organizations of a file of %s', async (_, format) => {
      writeFileSync(file, format(await foreignLines(harness.simulator, 3)));
      expect(await operator.run('import', file)).toEqual({
        code: 0,
        stdout: 'Imported 3 of 3 lines; 0 imported before, 0 skipped (connected already), 0 failed.\n',
        stderr: '',
      });
      expect(await operator.run('import', file)).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/^Imported 0 of 3 lines; 3 imported before/),
      });
      for (const at of [0, 1, 2]) expect(await harness.use(`org-${at}`)).toBe(200);
    });

    it('decrypts a Fernet token under the key of this service', async () => {
      const cipher = new TokenCipher([ENCRYPTION_KEY]);
      const lines = await foreignLines(harness.simulator, 2);
      const encrypted = lines.map((line) => ({
        ...line,
        refresh_token: cipher.encrypt(line.refresh_token as PlainToken),
      }));
      writeFileSync(file, toCsv(encrypted));
      expect(await operator.run('import', file)).toMatchObject({ code: 0 });
      expect(await harness.use('org-1')).toBe(200);
      const other = await operator.runWith(
        { ...operatorVariables(harness), ENCRYPTION_KEY: `${'A'.repeat(43)}=` },
        'import',
        file,
        '--dry-run',
      );
      expect(other).toMatchObject({ code: 1, stdout: expect.stringMatching(/ENCRYPTION_KEY cannot decrypt/) });
    });

    it('writes the lines that fail, without their tokens, and imports the others', async () => {
      const [good, revoked, wrong] = await foreignLines(harness.simulator, 3);
      await harness.connect('occupied', '90');
      harness.simulator.revokeGrant('5001');
      const token = await foreignToken(harness.simulator, '91');
      const lines = [
        good,
        revoked,
        { ...wrong, realm_id: '5999' },
        { organization_id: 'occupied', realm_id: '91', refresh_token: token },
        { ...good, refresh_token: 'AB11another' },
        { ...good, organization_id: 'second' },
        { organization_id: token, realm_id: '92', refresh_token: 'AB11x' },
        { organization_id: 'number', realm_id: 92, refresh_token: 'AB11y' },
        { organization_id: 'none', realm_id: '93' },
      ];
      writeFileSync(file, `${toJsonLines(lines as object[])}{"refresh_token": "${token}"\n`);
      const { code, stdout, stderr } = await operator.run('import', file);
      expect([code, stderr]).toEqual([1, `8 lines failed: see ${report}.\n`]);
      expect(stdout).toBe('Imported 1 of 10 lines; 0 imported before, 1 skipped (connected already), 8 failed.\n');
      const failed = operator.readReport(report);
      expect(failed.map(({ line, reason }) => [line, reason.split(':')[0]])).toEqual([
        [2, 'authorization_revoked'],
        [3, 'company_mismatch'],
        ...[5, 6, 7, 8, 9, 10].map((line) => [line, 'invalid']),
      ]);
      expect(failed.find(({ line }) => line === 7)).toMatchObject({ organization_id: null, realm_id: '92' });
      expect(failed.find(({ line }) => line === 2)).toMatchObject({ organization_id: 'org-1', realm_id: '5001' });
    });

    it('replaces connections only if asked to and confirmed', async () => {
      await harness.connect('org-0', '94');
      writeFileSync(file, toCsv(await foreignLines(harness.simulator, 1)));
      expect(await operator.run('import', file)).toMatchObject({ code: 0, stdout: expect.stringMatching(/1 skipped/) });
      expect(await operator.run('import', file, '--replace')).toMatchObject({ code: 1, stdout: '' });
      expect(await operator.run('import', file, '--replace', '--yes')).toMatchObject({ code: 0 });
      expect(await harness.activeRows('org-0')).toMatchObject([{ realm_id: '5000' }]);
    });

    it('with --dry-run only checks the file, with no other variable than the database and the key', async () => {
      writeFileSync(
        file,
        toCsv([
          ...(await foreignLines(harness.simulator, 2)),
          { organization_id: 'a b', realm_id: '1', refresh_token: 'x' },
        ]),
      );
      harness.simulator.resetCalls();
      const { NODE_ENV, DATABASE_URL, ENCRYPTION_KEY: key } = operatorVariables(harness);
      const { code, stdout, stderr } = await operator.runWith(
        { NODE_ENV, DATABASE_URL, ENCRYPTION_KEY: key },
        'import',
        file,
        '--dry-run',
      );
      expect([code, stderr]).toEqual([1, '1 line cannot be imported.\n']);
      expect(stdout).toBe(
        `line 4: invalid: organization_id must be 1 to 36 characters of A-Z, a-z, 0-9, _ and -\n2 of 3 lines of ${file} can be imported.\n`,
      );
      expect([harness.simulator.calls, await harness.knex('oauth_tokens')]).toEqual([[], []]);
    });

    it('finishes the line in progress when it is interrupted, and resumes', async () => {
      writeFileSync(file, toCsv(await foreignLines(harness.simulator, 3)));
      const release = harness.simulator.hold({ on: 'token', kind: 'slow' });
      const importing = run(BUILT, ['connections', 'import', file], operatorVariables(harness));
      await until(() => harness.refreshes() > 0);
      const ended = importing.kill('SIGINT');
      release();
      expect([await ended, importing.stderr()]).toEqual([1, 'Interrupted. Run it again to resume.\n']);
      expect(importing.stdout()).toMatch(/^Imported 1 of 3 lines; .* 0 failed\.\n$/);
      expect(await operator.run('import', file)).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/^Imported 2 of 3/),
      });
    });
  });

  it('has printed and reported no token in any of this', () => {
    const printed = operator.output.join('\n');
    expect([harness.secrets.size > 50, printed.length > 5_000]).toEqual([true, true]);
    expect([...harness.secrets].filter((secret) => printed.includes(secret))).toEqual([]);
    expect(printed).not.toMatch(/gAAAA|AB11|eyJ/);
  });
});
