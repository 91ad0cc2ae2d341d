import { describe, expect, it } from '@jest/globals';
import { BASIC, REALM, useSimulator } from '../simulator-client.ts';

const client = useSimulator();

describe('the simulator’s revocation endpoint', () => {
  it.each(['access_token', 'refresh_token'] as const)('revokes the grant of an %s, once', async (name) => {
    const tokens = await client.connect();
    expect(await client.revoke(tokens[name])).toBe(200);
    expect(await client.revoke(tokens[name])).toBe(400);
    expect(await client.isRejected(tokens.refresh_token)).toBe(true);
    expect(await client.companyStatus(tokens.access_token)).toBe(401);
  });

  it('requires the client’s credentials and a known token', async () => {
    const { refresh_token } = await client.connect();
    expect(await client.revoke(refresh_token, 'Basic eDp5')).toBe(401);
    expect(await client.revoke('unknown')).toBe(400);
    const unreadable = { method: 'POST', body: '{', headers: { authorization: BASIC } };
    expect((await fetch(client.simulator.urls.revokeUrl, unreadable)).status).toBe(400);
  });
});

describe('the simulator’s grants of one company', () => {
  it('are independent of each other by default', async () => {
    const [older, newer] = [await client.connect(), await client.connect()];
    expect(await client.revoke(newer.refresh_token)).toBe(200);
    expect(await client.companyStatus(older.access_token)).toBe(200);
  });

  it('end with a new consent and with each other if a company has only one grant', async () => {
    client.simulator.settings.oneGrantPerCompany = true;
    const [older, newer, other] = [await client.connect(), await client.connect(), await client.connect('7')];
    expect(await client.companyStatus(older.access_token)).toBe(401);
    expect(await client.companyStatus(newer.access_token)).toBe(200);
    expect(await client.revoke(newer.access_token)).toBe(200);
    expect(await client.companyStatus(other.access_token, '7')).toBe(200);
  });

  it('are all revoked if the user disconnects the app inside QuickBooks', async () => {
    const grants = [await client.connect(), await client.connect()];
    expect(client.simulator.revokeGrant(REALM)).toBe(true);
    expect(client.simulator.revokeGrant('none')).toBe(false);
    for (const { access_token, refresh_token } of grants) {
      expect(await client.companyStatus(access_token)).toBe(401);
      expect(await client.isRejected(refresh_token)).toBe(true);
    }
  });
});
