import { expect, it } from '@jest/globals';
import { PendingRevocationDatastore } from '../../src/datastores/pending-revocation-datastore.ts';
import type { Ciphertext, OrganizationId, RealmId } from '../../src/models/connection.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { MINUTES, useHarness } from '../support/harness.ts';

describeEachDatabase('PendingRevocationDatastore', (createDatabase) => {
  const harness = useHarness(createDatabase, { frozen: true, isolated: true });
  const realmId = '1' as RealmId;
  const organizationId = 'org' as OrganizationId;
  const grant = { organizationId, system: 'quickbooks', realmId, refreshToken: 'a ciphertext' as Ciphertext };
  const pending = () => new PendingRevocationDatastore({ session: harness.home.session, clock: harness.clock });
  const listDue = (limit = 10) => pending().listDue(['quickbooks'], limit);
  const inMinutes = (minutes: number) => new Date(harness.clock.now().getTime() + minutes * MINUTES);

  it('returns the revocations that are due, the earliest first', async () => {
    const [second, first] = [await pending().record(grant, inMinutes(2)), await pending().record(grant, inMinutes(1))];
    await pending().record(grant, inMinutes(3));
    expect(first).toMatchObject({ ...grant, attempts: 0, createdAt: harness.clock.now() });
    expect(await listDue()).toEqual([]);
    harness.clock.advance(2 * MINUTES);
    expect(await listDue()).toEqual([first, second]);
    expect(await listDue(1)).toEqual([first]);
  });

  it('returns the revocations of the named accounting systems only', async () => {
    const quickbooks = await pending().record(grant, inMinutes(0));
    const ledgerly = await pending().record({ ...grant, system: 'ledgerly' }, inMinutes(0));
    expect(await pending().listDue(['quickbooks'], 10)).toEqual([quickbooks]);
    expect(await pending().listDue(['ledgerly'], 10)).toEqual([ledgerly]);
    expect(await pending().listDue(['quickbooks', 'ledgerly'], 10)).toHaveLength(2);
    expect(await pending().listDue([], 10)).toEqual([]);
  });

  it('moves a revocation without counting an attempt', async () => {
    const recorded = await pending().record(grant, inMinutes(0));
    await pending().defer(recorded, inMinutes(2));
    expect(await harness.pendingRevocations()).toMatchObject([{ organization_id: 'org', attempts: 0 }]);
    expect(await listDue()).toEqual([]);
    harness.clock.advance(2 * MINUTES);
    expect(await listDue()).toMatchObject([{ ...grant, attempts: 0 }]);
  });

  it('stores a grant whose company is not known', async () => {
    const recorded = await pending().record({ ...grant, realmId: undefined }, inMinutes(0));
    expect(await listDue()).toEqual([recorded]);
    expect(await harness.pendingRevocations()).toMatchObject([{ realm_id: null }]);
  });

  it('records a grant in a transaction, and not if the transaction is rolled back', async () => {
    const failing = harness.home.session.transaction(async (trx) => {
      await pending().append(trx, grant, inMinutes(0));
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(await harness.pendingRevocations()).toEqual([]);
    const recorded = await harness.home.session.transaction((trx) => pending().append(trx, grant, inMinutes(0)));
    expect(await listDue()).toEqual([recorded]);
  });

  it('lets one of many workers claim a revocation until its claim ends', async () => {
    const recorded = await pending().record(grant, inMinutes(0));
    const claims = Array.from({ length: 8 }, (_, index) => pending().claim(recorded, inMinutes(index + 1)));
    const [claimed, ...others] = (await Promise.all(claims)).filter((claim) => claim !== undefined);
    expect(claimed).toEqual({ ...recorded, nextAttemptAt: claimed?.nextAttemptAt });
    expect(others).toEqual([]);
    expect(await listDue()).toEqual([]);
    harness.clock.advance(9 * MINUTES);
    expect(await listDue()).toEqual([claimed]);
  });

  it('counts the attempts, and forgets a revocation that is deleted', async () => {
    const recorded = await pending().record(grant, inMinutes(0));
    await pending().postpone(recorded, inMinutes(1));
    expect(await listDue()).toEqual([]);
    harness.clock.advance(1 * MINUTES);
    expect(await listDue()).toEqual([{ ...recorded, attempts: 1, nextAttemptAt: inMinutes(0) }]);
    await pending().delete(recorded);
    expect(await harness.pendingRevocations()).toEqual([]);
  });

  it('defers the recent revocations of one company, but none to an earlier time', async () => {
    const old = await pending().record(grant, inMinutes(0));
    harness.clock.advance(1 * MINUTES);
    const [due, later, otherCompany, otherSystem] = [
      await pending().record(grant, inMinutes(0)),
      await pending().record(grant, inMinutes(5)),
      await pending().record({ ...grant, realmId: '2' as RealmId }, inMinutes(0)),
      await pending().record({ ...grant, system: 'ledgerly' }, inMinutes(0)),
    ];
    await pending().deferCompany({ system: 'quickbooks', realmId, until: inMinutes(2), createdAfter: inMinutes(-1) });
    const rows = await harness.pendingRevocations();
    const times = Object.fromEntries(rows.map((row) => [row.revocation_id, new Date(row.next_attempt_at)]));
    expect(times).toEqual({
      [old.revocationId]: old.nextAttemptAt,
      [due.revocationId]: inMinutes(2),
      [later.revocationId]: inMinutes(5),
      [otherCompany.revocationId]: inMinutes(0),
      [otherSystem.revocationId]: inMinutes(0),
    });
  });
});
