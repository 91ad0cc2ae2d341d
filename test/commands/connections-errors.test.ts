import { writeFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { Fernet } from '../../src/crypto/fernet.ts';
import { createSqlite } from '../support/databases.ts';
import { ENCRYPTION_KEY } from '../support/environment.ts';
import { useHarness } from '../support/harness.ts';
import { foreignLines, toCsv, toJsonLines, useImportFile } from '../support/imports.ts';
import { BUILT, Operator, operatorVariables } from '../support/operator.ts';
import { runToEnd } from '../support/processes.ts';

const VERBS = ['list', 'show', 'events', 'disconnect', 'recover', 'recount', 'verify', 'import', 'erase'];
/** The key of another system. */
const THEIRS = Fernet.generateKey();
const NO_XERO = /^This version has no accounting system xero, only quickbooks\.\n$/;

describe('npm run connections, in error', () => {
  const harness = useHarness(createSqlite, { isolated: true });
  const operator = new Operator(harness);
  const { folder, file, report } = useImportFile();

  describe('import', () => {
    it('reports the lines that failed, and ends, also on a terminal, if the database becomes unavailable', async () => {
      writeFileSync(file, `${toJsonLines(await foreignLines(harness.simulator, 1))}["AB11array"]\n`);
      await harness.knex.schema.renameTable('connection_events', 'unavailable');
      const { code, stdout, stderr } = await operator.run('import', file);
      const ended = await operator.runOnTerminal('', 'import', file);
      await harness.knex.schema.renameTable('unavailable', 'connection_events');
      expect([code, stdout, stderr]).toEqual([1, '', expect.stringMatching(/^The database is not migrated.*\n$/)]);
      expect(operator.readReport(report)).toMatchObject([{ line: 2, reason: 'invalid: it is not a JSON object' }]);
      expect(ended).toEqual({ code: 1, shown: expect.stringMatching(/ 0 of 1 lines\nThe database is not migrated/) });
    });

    it('imports the other lines if the tokens that are stored for one are damaged', async () => {
      writeFileSync(file, toCsv(await foreignLines(harness.simulator, 2)));
      for (const at of [0, 1]) harness.simulator.setCompany(`500${at}`, undefined);
      expect(await operator.run('import', file)).toMatchObject({ code: 1 });
      for (const at of [0, 1]) harness.simulator.setCompany(`500${at}`, 'Right');
      await harness.set('org-0', { token_digest: 'damaged' });
      expect(await operator.run('import', file)).toEqual({
        code: 1,
        stdout: 'Imported 1 of 2 lines; 0 imported before, 0 skipped (connected already), 1 failed.\n',
        stderr: `1 line failed: see ${report}.\n`,
      });
      expect(operator.readReport(report)).toMatchObject([
        { line: 2, organization_id: 'org-0', reason: expect.stringMatching(/^damaged: /) },
      ]);
    });

    it('changes nothing with a key that does not decrypt the stored tokens, or does not encrypt what replicas read', async () => {
      await harness.connect('acme');
      const before = await harness.knex('oauth_tokens');
      writeFileSync(file, toCsv(await foreignLines(harness.simulator, 1)));
      harness.simulator.resetCalls();
      const importWith = (key: string) =>
        operator.runWith({ ...operatorVariables(harness), ENCRYPTION_KEY: key }, 'import', file);
      for (const [key, reason] of [
        [THEIRS, 'ENCRYPTION_KEY cannot decrypt the stored tokens: nothing was changed.\n'],
        [`${THEIRS},${ENCRYPTION_KEY}`, expect.stringMatching(/^The first key .* nothing was changed\. .*\n$/)],
      ] as const) {
        expect(await importWith(key)).toEqual({ code: 1, stdout: '', stderr: reason });
        expect([await harness.knex('oauth_tokens'), harness.simulator.calls]).toEqual([before, []]);
      }
      expect(await importWith(`${ENCRYPTION_KEY},${THEIRS}`)).toMatchObject({ code: 0 });
      await harness.knex('oauth_tokens').delete();
      writeFileSync(file, toCsv(await foreignLines(harness.simulator, 1)));
      expect(await importWith(THEIRS)).toMatchObject({ code: 0 });
    });

    it('stops if the provider rejects the service, and resumes once it does not', async () => {
      writeFileSync(file, toCsv(await foreignLines(harness.simulator, 3)));
      harness.simulator.fail({ on: 'token', kind: 'invalid_client', times: null });
      const { code, stderr } = await operator.run('import', file);
      expect([code, stderr]).toEqual([
        1,
        expect.stringMatching(/^Stopped in line 2: .*QBO_CLIENT_ID.* Run it again to resume\.\n$/),
      ]);
      expect(await harness.knex('oauth_tokens')).toHaveLength(1);
      harness.simulator.clearFaults();
      expect(await operator.run('import', file)).toMatchObject({ code: 0 });
      expect(harness.refreshes()).toBe(4);
    });

    it('stops after three denied companies, without having ended a connection: the environment may be wrong', async () => {
      writeFileSync(file, toCsv(await foreignLines(harness.simulator, 5)));
      for (const at of [0, 1, 2, 3, 4]) harness.simulator.setCompany(`500${at}`, undefined);
      const { code, stderr } = await operator.run('import', file);
      expect([code, stderr]).toEqual([1, expect.stringMatching(/QBO_ENVIRONMENT/)]);
      for (const at of [0, 1, 2, 3, 4]) harness.simulator.setCompany(`500${at}`, 'Right');
      expect(await operator.run('import', file)).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/^Imported 5 of 5/),
      });
    });

    it('stops after three denied companies, although organizations between them are skipped', async () => {
      for (const organization of ['org-1', 'org-3']) await harness.connect(organization);
      writeFileSync(file, toCsv(await foreignLines(harness.simulator, 6)));
      for (const at of [0, 2, 4, 5]) harness.simulator.setCompany(`500${at}`, undefined);
      const { code, stderr } = await operator.run('import', file);
      expect([code, stderr]).toEqual([1, expect.stringMatching(/^Stopped in line 6: .*QBO_ENVIRONMENT/)]);
    });

    it('says in one line that a folder is no file', async () => {
      const { code, stdout, stderr } = await operator.run('import', folder);
      expect([code, stdout, stderr]).toEqual([1, '', `Cannot use ${folder}: EISDIR.\n`]);
    });

    it.each([
      ['a file that is not there', undefined, /^Cannot use .*: ENOENT\.\n$/],
      [
        'CSV without a header',
        'acme,1,AB11secret\n',
        /no header line with organization_id and realm_id and refresh_token/,
      ],
    ])('says in one line what is wrong with %s', async (_, content, message) => {
      if (content !== undefined) writeFileSync(file, content);
      const { code, stdout, stderr } = await operator.run('import', file);
      expect([code, stdout, stderr]).toEqual([1, '', expect.stringMatching(message)]);
      expect(stderr).toMatch(/^[^\n]+\n$/);
    });
  });

  it('works on the other connections if the tokens of one are damaged, and names its organization', async () => {
    for (const organization of ['a', 'b', 'c']) await harness.connect(organization);
    await harness.set('b', { token_digest: 'damaged' });
    expect(await operator.run('verify')).toEqual({
      code: 1,
      stdout: 'Verified 2 of 3 active connections.\n',
      stderr: 'Not verified: b (damaged).\n',
    });
    const one = await operator.run('verify', 'b');
    expect([one.code, one.stderr]).toEqual([1, expect.stringMatching(/^The stored tokens are damaged: .*\n$/)]);
    for (const organization of ['a', 'b', 'c']) await harness.deactivate(organization);
    expect(await operator.run('recover')).toEqual({
      code: 1,
      stdout: expect.stringMatching(/^Recovered 2 of 3 lost connections; 0 rejected/),
      stderr: 'Not recovered: b (damaged).\n',
    });
  });

  describe('verify and recover, for all', () => {
    it('stop if the provider is down for three companies in a row', async () => {
      for (const organization of ['a', 'b', 'c', 'd']) await harness.connect(organization);
      harness.simulator.fail({ on: 'token', kind: 'status', times: null });
      expect(await operator.run('verify')).toMatchObject({
        code: 1,
        stderr: 'Not verified: a (unavailable), b (unavailable), c (unavailable), 1 not reached: run it again.\n',
      });
      for (const organization of ['a', 'b', 'c', 'd']) await harness.deactivate(organization);
      await harness.endBackOffs();
      expect(await operator.run('recover')).toMatchObject({
        code: 1,
        stderr: '4 have no result yet: run it again later.\n',
      });
      expect(harness.refreshes()).toBe(6);
    });

    it('reach the connections behind those whose token was sent just now', async () => {
      for (const organization of ['a', 'b', 'c', 'd']) {
        await harness.connect(organization);
        await harness.deactivate(organization);
      }
      for (const organization of ['a', 'b', 'c']) {
        await harness.set(organization, { next_refresh_attempt_at: new Date(Date.now() + 3_600_000) });
      }
      expect(await operator.run('recover')).toEqual({
        code: 1,
        stdout: expect.stringMatching(/^Recovered 1 of 4 lost connections; 0 rejected again/),
        stderr: '3 have no result yet: run it again later.\n',
      });
      expect(await operator.run('recover', 'a')).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/^a was not recovered: its token was sent without success just now/),
      });
      expect(harness.refreshes()).toBe(1);
    });

    it('reach the connections behind those of one company that is throttled', async () => {
      for (const organization of ['a', 'b', 'c']) await harness.connect(organization, '60');
      await harness.connect('d', '61');
      harness.simulator.fail({ on: 'companyinfo', kind: 'status', status: 429, times: 3 });
      expect(await operator.run('verify')).toEqual({
        code: 1,
        stdout: 'Verified 1 of 4 active connections.\n',
        stderr: 'Not verified: a (unavailable), b (unavailable), c (unavailable).\n',
      });
    });

    it('reach the connections behind those whose refresh the provider rejects as malformed', async () => {
      for (const organization of ['a', 'b', 'c', 'd']) await harness.connect(organization);
      const failThree = () => harness.simulator.fail({ on: 'token', kind: 'invalid_request', times: 3 });
      failThree();
      const malformed = 'a (request_rejected), b (request_rejected), c (request_rejected)';
      expect(await operator.run('verify')).toEqual({
        code: 1,
        stdout: 'Verified 1 of 4 active connections.\n',
        stderr: `Not verified: ${malformed}.\n`,
      });
      for (const organization of ['a', 'b', 'c', 'd']) await harness.deactivate(organization);
      failThree();
      expect(await operator.run('recover')).toEqual({
        code: 1,
        stdout: expect.stringMatching(/^Recovered 1 of 4 lost connections; 0 rejected/),
        stderr: `Not recovered: ${malformed}.\n`,
      });
    });
  });

  it('changes nothing with a wrong key, but works during a rotation of keys', async () => {
    await harness.connect('acme');
    const before = await harness.knex('oauth_tokens');
    for (const args of [['disconnect', 'acme', '--yes'], ['recover'], ['verify'], ['erase', 'acme', '--yes']]) {
      const wrong = { ...operatorVariables(harness), ENCRYPTION_KEY: THEIRS };
      expect(await operator.runWith(wrong, ...args)).toEqual({
        code: 1,
        stdout: '',
        stderr: 'ENCRYPTION_KEY cannot decrypt the stored tokens: nothing was changed.\n',
      });
    }
    expect([await harness.knex('oauth_tokens'), harness.simulator.calls]).toEqual([before, []]);
    const rotating = { ...operatorVariables(harness), ENCRYPTION_KEY: `${THEIRS},${ENCRYPTION_KEY}` };
    expect(await operator.runWith(rotating, 'verify')).toMatchObject({ code: 0 });
  });

  it('changes nothing of a connection to a system that this version does not have, unless its erasure is forced', async () => {
    await harness.connect('acme', '70');
    await harness.connect('globex', '71');
    await harness.knex.raw("UPDATE oauth_tokens SET accounting_system = 'xero' WHERE organization_id = 'acme'");
    const before = await harness.rows('acme');
    const { code, stderr } = await operator.run('disconnect', 'acme', '--system', 'xero', '--yes');
    expect([code, stderr]).toEqual([1, expect.stringMatching(NO_XERO)]);
    const refused = await operator.run('erase', 'acme', '--yes');
    expect([refused.code, refused.stdout, refused.stderr]).toEqual([
      1,
      '',
      'acme was not erased: this version cannot revoke its grants for xero. Run this with a version that has xero, or add --unrevoked to delete them without revoking them.\n',
    ]);
    expect([await harness.rows('acme'), await harness.pendingRevocations()]).toEqual([before, []]);
    const forced = await operator.run('erase', 'acme', '--yes', '--unrevoked');
    expect([forced.code, forced.stdout, forced.stderr]).toEqual([0, 'Erased acme: 1 connection, 2 events.\n', '']);
    expect([await harness.rows('acme'), await harness.pendingRevocations(), harness.revocations()]).toEqual([
      [],
      [],
      0,
    ]);
    expect(await harness.activeRows('globex')).toHaveLength(1);
  });

  it('disconnect --unrevoked ends a connection to a system that this version does not have', async () => {
    await harness.connect('acme', '70');
    await harness.knex.raw("UPDATE oauth_tokens SET accounting_system = 'xero' WHERE organization_id = 'acme'");
    const args = ['disconnect', 'acme', '--system', 'xero', '--yes'];
    expect(await operator.run(...args)).toMatchObject({ code: 1, stderr: expect.stringMatching(NO_XERO) });
    expect(await operator.run(...args, '--unrevoked')).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^Disconnected acme from company 70 .* deleted without being revoked\.\n$/),
      stderr: '',
    });
    expect(await harness.rows('acme')).toMatchObject([{ is_active: 0, refresh_token: '', next_maintenance_at: null }]);
    expect([await harness.pendingRevocations(), harness.revocations()]).toEqual([[], 0]);
    expect(await harness.events('acme')).toMatchObject([{}, { type: 'disconnected', actor: 'operator' }]);
  });

  it('without a verb prints the help to stderr, and the reason after it', async () => {
    const { code, stdout, stderr } = await operator.run();
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^Usage: connections VERB [\s\S]*\n {2}erase [\s\S]*\nerror: missing verb\n$/);
  });

  it.each([
    [['show', 'unconnected'], /^unconnected has no connection to quickbooks\.\n$/],
    [['disconnect', 'unconnected', '--yes'], /^unconnected has no connection/],
    [['disconnect', 'acme', '--system', 'xero', '--yes'], NO_XERO],
    [['recover', '--system', 'xero'], NO_XERO],
    [['verify', '--system', 'xero'], NO_XERO],
    [['import', 'connections.csv', '--system', 'xero'], NO_XERO],
    [['show'], /^error: missing required argument 'organization'\n$/],
    [['show', 'a.b'], /^error: .* 'a\.b' is invalid .*36 characters.*\n$/],
    [['list', '--state', 'gone'], /^error: .*Allowed choices are active, lost, refresh_failing, expiring\.\n$/],
    [['list', '--everything'], /^error: unknown option '--everything'\n$/],
    [['explode'], /^error: unknown command 'explode'\n$/],
  ])('says in one line what is wrong with %j', async (args, message) => {
    const { code, stdout, stderr } = await operator.run(...args);
    expect([code, stdout, stderr]).toEqual([1, '', expect.stringMatching(message)]);
  });

  it('reads with DATABASE_URL alone, and names what it needs to use tokens', async () => {
    const { NODE_ENV, DATABASE_URL } = operatorVariables(harness);
    await harness.connect('acme');
    for (const args of [['list'], ['show', 'acme'], ['events', 'acme'], ['recount']]) {
      expect(await operator.runWith({ NODE_ENV, DATABASE_URL }, ...args)).toMatchObject({ code: 0, stderr: '' });
    }
    for (const args of [['disconnect', 'acme', '--yes'], ['recover'], ['erase', 'acme', '--yes']]) {
      const { code, stderr } = await operator.runWith({ NODE_ENV, DATABASE_URL }, ...args);
      const required = ['ENCRYPTION_KEY', 'QBO_CLIENT_ID', 'QBO_CLIENT_SECRET'].map((name) => `${name} is required\n`);
      expect([code, stderr.split(/(?<=\n)/).sort()]).toEqual([1, required]);
    }
    const { QBO_API_BASE_URL: _, ...withoutApi } = operatorVariables(harness) as Record<string, string>;
    for (const args of [['verify'], ['import', file]]) {
      expect(await operator.runWith(withoutApi, ...args)).toMatchObject({
        code: 1,
        stderr: 'QBO_ENVIRONMENT is required\n',
      });
    }
  });

  it('works from source too, and explains each verb', async () => {
    const source = await runToEnd('bin/run.js', ['connections', '--help'], {});
    expect(source).toMatchObject({ code: 0, stderr: '' });
    expect(await runToEnd(BUILT, ['connections', '--help'], {})).toEqual(source);
    for (const verb of VERBS) {
      expect(source.stdout).toMatch(new RegExp(`^  ${verb} `, 'm'));
      const { code, stdout } = await operator.run(verb, '--help');
      expect([code, stdout]).toEqual([0, expect.stringMatching(new RegExp(`^Usage: connections ${verb}`))]);
    }
  });

  it('has printed and reported no token in any of this', () => {
    const printed = operator.output.join('\n');
    expect([harness.secrets.size > 10, printed.length > 5_000]).toEqual([true, true]);
    expect([...harness.secrets].filter((secret) => printed.includes(secret))).toEqual([]);
    expect(printed).not.toMatch(/gAAAA|AB11|eyJ/);
  });
});
