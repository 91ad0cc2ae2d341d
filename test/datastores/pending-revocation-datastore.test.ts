import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { PendingRevocationDatastore } from '../../src/datastores/pending-revocation-datastore.ts';
import { openSession, type Session } from '../../src/db/session.ts';
import type { Ciphertext } from '../../src/models/connection.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { MINUTES, useWorkerBench } from '../support/worker-bench.ts';

describeEachDatabase('pending_revocations', (createDatabase) => {
  const bench = useWorkerBench(createDatabase);
  const grant = { system: 'quickbooks', realmId: '1', refreshToken: 'sealed' as Ciphertext } as const;
  let session: Session;
  let pending: PendingRevocationDatastore;
  beforeAll(() => {
    session = openSession(bench.home.config.database);
    pending = new PendingRevocationDatastore(session, () => bench.now);
  });
  afterAll(() => session.close());

  it('gives back what was noted, once it is due, the longest waiting first', async () => {
    const noted = [await pending.record(grant, inMinutes(2)), await pending.record(grant, inMinutes(1))];
    await pending.record(grant, inMinutes(3));
    expect(await pending.listDue(inMinutes(2), 10)).toEqual(noted.reverse());
    expect(await pending.listDue(inMinutes(3), 1)).toEqual(noted.slice(0, 1));
  });

  it('lets one of many have it until his time is over', async () => {
    const noted = await pending.record(grant, bench.now);
    const claims = await Promise.all(
      Array.from({ length: 8 }, (_, index) => pending.claim(noted, inMinutes(index + 1))),
    );
    expect(claims.filter((claim) => claim !== undefined)).toHaveLength(1);
    expect(await pending.listDue(bench.now, 10)).toEqual([]);
    expect(await pending.listDue(inMinutes(9), 10)).toMatchObject([{ revocationId: noted.revocationId, failures: 0 }]);
  });

  it('counts failures, and keeps nothing of what is done', async () => {
    const noted = await pending.record(grant, bench.now);
    await pending.postpone(noted, inMinutes(1));
    const [again] = await pending.listDue(inMinutes(1), 10);
    expect(again).toEqual({ ...noted, failures: 1, nextAttemptAt: inMinutes(1) });
    await pending.delete(noted);
    expect(await bench.pending()).toEqual([]);
  });

  function inMinutes(minutes: number): Date {
    return new Date(bench.now.getTime() + minutes * MINUTES);
  }
});
