import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { openBrowser, startChromium } from './support/browser-user.ts';
import { type Development, startDevelopment } from './support/development.ts';
import { type KeySet, startKeySet } from './support/key-set.ts';

const API_KEY = 'k'.repeat(32);
const suite = process.env['CHROMIUM_PATH'] ? describe : describe.skip;

suite('a user of a browser, while `npm run dev` requires credentials and confirmation,', () => {
  let keySet: KeySet;
  let development: Development;
  let browser: Browser;

  beforeAll(async () => {
    keySet = await startKeySet();
    [browser, development] = await Promise.all([
      startChromium(),
      startDevelopment({
        ...keySet.env,
        AUTH_SCOPES: 'true',
        AUTH_ORGANIZATION_CLAIM: 'https://octup.com/organization_id',
        API_KEYS: `billing:${API_KEY}`,
        CONNECT_CONFIRMATION: 'true',
      }),
    ]);
  });

  afterAll(async () => {
    await browser?.close();
    await development?.kill('SIGKILL');
    await keySet?.close();
  });

  it('connects as a signed-in user, who confirms the connection', async () => {
    const user = await openBrowser(browser, development);
    await user.openSettings('org-confirms');
    await user.page.click('#connect');
    await user.consent('Sandbox Company_US_2', 'Connect');
    await user.see('#banner', 'QuickBooks is connected.');
    await user.see('#status', 'Connected to Sandbox Company_US_2');
    await user.see('#timeline li:nth-child(1)', /^Connected.* · by developer · Sandbox Company_US_2$/);
    expect(user.page.url()).toBe(development.frontend);
    expect(user.consoleErrors).toEqual([]);
    await user.leave();
  });

  it('confirms in the page that opened the popup', async () => {
    const user = await openBrowser(browser, development);
    await user.openSettings('org-confirms-popup');
    await user.page.check('#popup');
    const popup = await user.connectInPopup();
    await user.consent('Sandbox Company_US_1', 'Connect', popup);
    await user.see('#status', 'Connected to Sandbox Company_US_1');
    await user.leave();
  });

  it.each([
    ['default', undefined],
    ['one that names the organization of the link', '?organization=org-attacker'],
  ])('connects nothing to an organization whose link another person opens: return page %s', async (_, query) => {
    const attacker = { Authorization: `Bearer ${API_KEY}` };
    const prefix = `${development.service}/api/v1/oauth/quickbooks`;
    const created = await fetch(`${prefix}/connect/org-attacker`, {
      method: 'POST',
      headers: attacker,
      ...(query && { body: JSON.stringify({ return_url: development.frontend + query }) }),
    });
    const { connect_url } = (await created.json()) as { connect_url: string };

    const victim = await openBrowser(browser, development);
    await victim.openSettings('org-victim');
    await victim.see('#status', 'Not connected');
    await victim.page.goto(connect_url);
    await victim.consent('Sandbox Company_US_1', 'Connect');
    await victim.see('#banner', 'This connection can no longer be confirmed.');
    await victim.see('#status', 'Not connected');
    const status = await fetch(`${prefix}/status/org-attacker`, { headers: attacker });
    expect(await status.json()).toMatchObject({ connected: false });
    await victim.leave();
  });

  it("accepts the tokens of the real frontend's sign-in, too", async () => {
    const claims = { 'https://octup.com/organization_id': 'org-real', scope: 'connections:read' };
    const token = await keySet.sign(claims);
    const url = `${development.service}/api/v1/oauth/quickbooks/status/org-real`;
    expect((await fetch(url, { headers: { Authorization: `Bearer ${token}` } })).status).toBe(200);
    expect((await fetch(url)).status).toBe(401);
  });
});
