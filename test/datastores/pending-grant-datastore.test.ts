import { randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { ConnectionEventDatastore } from '../../src/datastores/connection-event-datastore.ts';
import { OAuthStateDatastore } from '../../src/datastores/oauth-state-datastore.ts';
import { PendingGrantDatastore } from '../../src/datastores/pending-grant-datastore.ts';
import { PendingRevocationDatastore } from '../../src/datastores/pending-revocation-datastore.ts';
import type { Ciphertext, NewConnection, RealmId } from '../../src/models/connection.ts';
import type { PendingGrant } from '../../src/models/pending-grant.ts';
import { createSqlite, describeEachDatabase } from '../support/databases.ts';
import { codeOf, type Harness, MINUTES, useHarness } from '../support/harness.ts';

describeEachDatabase('PendingGrantDatastore', (createDatabase) => {
  const harness = useHarness(createDatabase, { frozen: true, isolated: true });

  it('returns a grant as it was stored', async () => {
    const grant = await received({ link: { id: 'link', expiresAt: inMinutes(5) }, pinnedRealmId: '1' as RealmId });
    expect(await grants().listDue(['quickbooks'], 10)).toEqual([grant]);
    expect(await grants().listDue(['ledgerly'], 10)).toEqual([]);
  });

  it('stores a grant once, even if the call is repeated after a lost response', async () => {
    const grant = await received();
    await grants().insert(grant);
    expect(await grants().listDue(['quickbooks'], 10)).toEqual([grant]);
  });

  it('makes a grant a connection once, even if the call is repeated after a lost response', async () => {
    const grant = await received();
    expect(await move(grant)).toMatchObject({ kind: 'moved', ended: { event: { type: 'connected' } } });
    expect(await move(grant)).toEqual({ kind: 'gone' });
    await grants().insert(grant); // the first insertion's response was lost until now
    expect(await grants().listDue(['quickbooks'], 10)).toEqual([]);
    expect(await harness.rows('acme')).toHaveLength(1);
    expect(await harness.eventTypes('acme')).toEqual(['connected']);
    expect(await states().findOutcome(grant.stateId)).toEqual({ kind: 'connected' });
  });

  it('makes one of the grants of a link a connection', async () => {
    const link = { id: 'link', expiresAt: inMinutes(5) };
    const [one, other] = [await received({ link }), await received({ link })];
    const kinds = (await Promise.all([move(one), move(other)])).map(({ kind }) => kind);
    expect(kinds.sort()).toEqual(['link_consumed', 'moved']);
    expect(await harness.rows('acme')).toHaveLength(1);
  });

  it('lets one of many workers claim a grant', async () => {
    const grant = await received();
    const claims = Array.from({ length: 8 }, (_, index) => grants().claim(grant, inMinutes(index + 1)));
    expect((await Promise.all(claims)).filter((claim) => claim !== undefined)).toHaveLength(1);
    expect(await grants().listDue(['quickbooks'], 10)).toEqual([]);
  });

  it.each([
    ['schedules the revocation of a grant whose company is proven', true, [], 1],
    ['keeps a grant whose company is unproven until it can be revoked', false, ['unwanted'], 0],
  ])('%s', async (_, isProven, phases, revocations) => {
    const grant = await received({ verifiedAt: isProven ? harness.clock.now() : undefined });
    const outcome = { kind: 'failed', code: 'unauthorized' } as const;
    const event = { ...harness.key('acme'), type: 'connect_failed', reason: 'unauthorized', actor: 'browser' } as const;
    const end = () => grants().end(grant, { outcome, event, isRevoked: true });
    expect(await end()).toMatchObject({ isEnded: true });
    expect(await end()).toEqual({ isEnded: false });
    expect((await grants().listDue(['quickbooks'], 10)).map(({ phase }) => phase)).toEqual(phases);
    expect(await harness.pendingRevocations()).toHaveLength(revocations);
    expect(await harness.eventTypes('acme')).toEqual(['connect_failed']);
    expect(await states().findOutcome(grant.stateId)).toEqual(outcome);
  });

  function grants(): PendingGrantDatastore {
    return grantsOf(harness);
  }

  function states(): OAuthStateDatastore {
    return statesOf(harness);
  }

  /** Stores a grant whose state was consumed. */
  async function received(changes: Partial<PendingGrant> = {}): Promise<PendingGrant> {
    const now = harness.clock.now();
    const grant: PendingGrant = {
      ...harness.key('acme'),
      tokenId: randomUUID(),
      realmId: '1' as RealmId,
      tokens: {
        accessToken: 'the access token’s ciphertext' as Ciphertext,
        accessTokenExpiresAt: inMinutes(60),
        refreshToken: 'the refresh token’s ciphertext' as Ciphertext,
        refreshTokenExpiresAt: inMinutes(100 * 24 * 60),
        isRefreshExpiryAssumed: false,
        authorizationExpiresAt: undefined,
        digest: 'd'.repeat(43),
      },
      intuitTid: 'a tid',
      actor: 'browser',
      stateId: randomUUID(),
      pinnedRealmId: undefined,
      link: undefined,
      phase: 'received',
      companyName: undefined,
      verifiedAt: undefined,
      confirmableUntil: undefined,
      nextAttemptAt: now,
      createdAt: now,
      ...changes,
    };
    await states().consume(grant.stateId, inMinutes(10));
    await grants().insert(grant);
    return grant;
  }

  function move(grant: PendingGrant) {
    const { tokenId, organizationId, system, realmId, tokens, intuitTid } = grant;
    const connection: NewConnection = {
      ...{ tokenId, organizationId, system, realmId, tokens, intuitTid },
      companyName: 'A company',
      lastVerifiedAt: harness.clock.now(),
    };
    const nextMaintenanceAt = inMinutes(24 * 60);
    return grants().move(grant, connection, { actor: 'browser', nextMaintenanceAt, endsIfSuperseded: () => false });
  }

  function inMinutes(minutes: number): Date {
    return new Date(harness.clock.now().getTime() + minutes * MINUTES);
  }
});

describe('PendingGrantDatastore on a database that accepts no writes', () => {
  const harness = useHarness(createSqlite, { isolated: true });

  it('rejects a confirmation whose grant it does not find: a demoted primary may lack it', async () => {
    await harness.home.session.knex.raw('PRAGMA query_only = ON');
    const confirmed = grantsOf(harness).findUnconfirmed(harness.key('acme'), randomUUID());
    expect(await codeOf(confirmed)).toBe('service_unavailable');
  });
});

function grantsOf({ home, clock }: Harness): PendingGrantDatastore {
  const shared = { session: home.session, clock };
  const events = new ConnectionEventDatastore({ ...shared, outbox: undefined });
  const revocations = new PendingRevocationDatastore(shared);
  return new PendingGrantDatastore({ ...shared, tokens: home.tokens, states: statesOf({ home }), events, revocations });
}

function statesOf({ home: { session, events } }: Pick<Harness, 'home'>): OAuthStateDatastore {
  return new OAuthStateDatastore({ session, events });
}
