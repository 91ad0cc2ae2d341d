import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { type BrowserUser, openBrowser, startChromium } from './support/browser-user.ts';
import { type Development, startDevelopment } from './support/development.ts';

const suite = process.env['CHROMIUM_PATH'] ? describe : describe.skip;

suite('a user of a browser, while `npm run dev` is running,', () => {
  let development: Development;
  let frontend: string;
  let service: string;
  let browser: Browser;
  let user: BrowserUser;
  let page: Page;

  beforeAll(async () => {
    [browser, development] = await Promise.all([startChromium(), startDevelopment()]);
    ({ service, frontend } = development);
  });

  afterAll(async () => {
    await browser?.close();
    await development?.kill('SIGKILL');
  });

  beforeEach(async () => {
    user = await openBrowser(browser, development);
    ({ page } = user);
  });

  afterEach(async () => {
    await user.leave();
  });

  it('connects the chosen company, sees its status, and disconnects it', async () => {
    await user.openSettings('org-connects');
    await user.see('#status', 'Not connected');

    await page.click('#connect');
    const flow = page.waitForRequest(/\/callback\?/);
    await user.consent('Sandbox Company_US_2', 'Connect');
    await user.see('#banner', 'QuickBooks is connected.');
    await user.see('#status', 'Connected to Sandbox Company_US_2');
    await user.see('#company', 'Sandbox Company_US_2');
    await user.see('#access-expiry', /in (59|60) minutes/);
    await user.see('#refresh-expiry', /in (100|101) days/);
    await user.see('#last-refreshed', 'Not yet');
    expect(page.url()).toBe(frontend);

    await page.click('#dismiss');
    await page.locator('#banner').waitFor({ state: 'hidden' });
    await page.click('#disconnect');
    await user.see('#banner', 'QuickBooks is disconnected.');
    await user.see('#status', 'Not connected');
    await user.see('#timeline li:nth-child(1)', /^Disconnected.* · in a browser · Sandbox Company_US_2$/);
    await user.see('#timeline li:nth-child(2)', /^Connected.* · in a browser · Sandbox Company_US_2$/);
    await page.reload();
    await user.see('#status', 'Not connected');

    expect(user.consoleErrors).toEqual([]);
    const { searchParams } = new URL((await flow).url());
    for (const secret of ['code', 'state']) expect(development.stdout()).not.toContain(searchParams.get(secret) ?? '');
  });

  it('gets a cookie for the flow that no script can read, and the same outcome if it returns', async () => {
    await user.openSettings('org-cookie');
    await page.click('#connect');
    await page.waitForSelector('#company');
    const callback = `${service}/api/v1/oauth/quickbooks/callback`;
    expect(await page.context().cookies()).toEqual([
      expect.objectContaining({
        name: expect.stringMatching(/^oauth_/),
        path: new URL(callback).pathname,
        httpOnly: true,
        sameSite: 'Lax',
      }),
    ]);

    const flow = page.waitForRequest(/\/callback\?/);
    await user.consent('Sandbox Company_US_1', 'Connect');
    await user.see('#status', 'Connected to Sandbox Company_US_1');
    await page.goto((await flow).url());
    await user.see('#banner', 'QuickBooks is connected.');
    expect(page.url()).toBe(frontend);
    expect(user.consoleErrors).toEqual([]);
  });

  it('returns from a cancelled consent without a connection', async () => {
    await user.openSettings('org-cancels');
    await page.click('#connect');
    await user.consent('Sandbox Company_US_1', 'Cancel');
    await user.see('#banner', 'You cancelled. Nothing was changed.');
    await user.see('#status', 'Not connected');
    expect(page.url()).toBe(frontend);
    expect(user.consoleErrors).toEqual([]);
  });

  it('returns to the frontend if a callback is rejected, without the code in the address', async () => {
    await page.goto(`${service}/api/v1/oauth/quickbooks/callback?code=c&state=forged&realmId=1`);
    await user.see('#banner', 'This sign-in has expired, or was started in another browser.');
    expect(page.url()).toBe(frontend);
    expect(user.consoleErrors).toEqual([]);
  });

  it('connects in a popup, which closes itself', async () => {
    await user.openSettings('org-popup');
    await page.check('#popup');
    const popup = await user.connectInPopup();
    const closed = popup.waitForEvent('close');
    await user.consent('Sandbox Company_US_1', 'Connect', popup);
    await closed;
    await user.see('#banner', 'QuickBooks is connected.');
    await user.see('#status', 'Connected to Sandbox Company_US_1');
    expect(page.url()).toBe(frontend);
    expect(user.consoleErrors).toEqual([]);
  });

  it('cancels in a popup, and can try again', async () => {
    await user.openSettings('org-popup-cancels');
    await page.check('#popup');
    const popup = await user.connectInPopup();
    const closed = popup.waitForEvent('close');
    await user.consent('Sandbox Company_US_1', 'Cancel', popup);
    await closed;
    await user.see('#banner', 'You cancelled. Nothing was changed.');
    await user.see('#connect', 'Connect');
  });

  it('connects in the same tab if the browser blocks popups', async () => {
    await user.openSettings('org-blocked');
    await page.evaluate('window.open = () => null');
    await page.check('#popup');
    await page.click('#connect');
    await user.consent('Sandbox Company_US_1', 'Connect');
    await user.see('#status', 'Connected to Sandbox Company_US_1');
    expect(page.url()).toBe(frontend);
  });

  it('sees that a connection was lost, and can reconnect only the same company', async () => {
    await user.openSettings('org-lost');
    await page.click('#connect');
    await user.consent(CRAIGS, 'Connect');
    await user.see('#status', `Connected to ${CRAIGS}`);

    await fetch(`${development.simulator}/simulator/revoke/9341452000000003`, { method: 'POST' });
    await fetch(`${service}/api/v1/quickbooks/org-lost/companyinfo/1`);
    await user.see('#status', 'Reconnection needed');
    await user.see('#note', `may have been disconnected inside QuickBooks. Please reconnect ${CRAIGS}.`);
    await page.click('#reconnect');
    await user.consent('Sandbox Company_US_1', 'Connect');
    await user.see('#banner', 'You chose another company');
    await user.see('#status', 'Reconnection needed');

    await page.click('#reconnect');
    await user.consent(CRAIGS, 'Connect');
    await user.see('#status', `Connected to ${CRAIGS}`);
    await user.see('#timeline li:nth-child(1)', /^Connected again/);
    expect(user.consoleErrors).toEqual([]);
  });

  it('reads that Octup was disconnected inside QuickBooks', async () => {
    await page.goto(`${service}/api/v1/oauth/quickbooks/disconnected?realmId=1`);
    await user.see('#banner', 'You disconnected Octup inside QuickBooks.');
    expect(page.url()).toBe(frontend);
  });

  it('reads the API reference, which loads nothing from other hosts', async () => {
    const origins = new Set<string>();
    page.on('request', (request) => origins.add(new URL(request.url()).origin));
    await page.goto(`${service}/docs`);
    await user.see('h1', 'Accounting Integration Service');
    await page.locator('#operations-Connection-getStatus .opblock-summary-control').click();
    await user.see('#operations-Connection-getStatus', 'needs_reauthorization');
    expect([...origins]).toEqual([service]);
    expect(user.consoleErrors).toEqual([]);
  });

  it('sees that the service is unreachable after SIGTERM, at which development exits with 0', async () => {
    await user.openSettings('org-stays');
    await user.see('#status', 'Not connected');
    expect(await development.kill('SIGTERM')).toBe(0);
    await user.see('#status', 'Service unreachable');
  });
});

const CRAIGS = "Craig's Design and Landscaping Services";
