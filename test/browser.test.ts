import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { type Development, startDevelopment } from './support/development.ts';

const suite = process.env['CHROMIUM_PATH'] ? describe : describe.skip;

suite('a user of a browser, while `npm run dev` is running,', () => {
  let development: Development;
  let frontend: string;
  let service: string;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let consoleErrors: string[];

  beforeAll(async () => {
    [browser, development] = await Promise.all([
      chromium.launch({ executablePath: process.env['CHROMIUM_PATH'] ?? '', args: CHROMIUM_ARGUMENTS }),
      startDevelopment(),
    ]);
    ({ service, frontend } = development);
  });

  afterAll(async () => {
    await browser?.close();
    await development?.kill('SIGKILL');
  });

  afterEach(async () => {
    await context?.close();
  });

  it('connects the chosen company, sees its status, and disconnects it', async () => {
    await openSettings('org-connects');
    await see('#status', 'Not connected');

    await page.click('#connect');
    const flow = page.waitForRequest(/\/callback\?/);
    await consent('Sandbox Company_US_2', 'Connect');
    await see('#banner', 'QuickBooks is connected.');
    await see('#status', 'Connected to Sandbox Company_US_2');
    await see('#realm-id', '9341452000000002');
    await see('#access-expiry', /in (59|60) minutes/);
    await see('#refresh-expiry', /in (100|101) days/);
    await see('#last-refreshed', 'Not yet');
    expect(page.url()).toBe(frontend);

    await page.click('#dismiss');
    await page.locator('#banner').waitFor({ state: 'hidden' });
    await page.click('#disconnect');
    await see('#banner', 'QuickBooks is disconnected.');
    await see('#status', 'Not connected');
    await see('#timeline li:nth-child(1)', /^Disconnected.* · in a browser · company 9341452000000002$/);
    await see('#timeline li:nth-child(2)', /^Connected.* · in a browser · company 9341452000000002$/);
    await page.reload();
    await see('#status', 'Not connected');

    expect(consoleErrors).toEqual([]);
    const { searchParams } = new URL((await flow).url());
    for (const secret of ['code', 'state']) expect(development.stdout()).not.toContain(searchParams.get(secret) ?? '');
  });

  it('gets a cookie for the flow that no script can read, and the same outcome if it returns', async () => {
    await openSettings('org-cookie');
    await page.click('#connect');
    await page.waitForSelector('#company');
    const callback = `${service}/api/v1/oauth/quickbooks/callback`;
    expect(await context.cookies()).toEqual([
      expect.objectContaining({
        name: expect.stringMatching(/^oauth_/),
        path: new URL(callback).pathname,
        httpOnly: true,
        sameSite: 'Lax',
      }),
    ]);

    const flow = page.waitForRequest(/\/callback\?/);
    await consent('Sandbox Company_US_1', 'Connect');
    await see('#status', 'Connected to Sandbox Company_US_1');
    await page.goto((await flow).url());
    await see('#banner', 'QuickBooks is connected.');
    expect(page.url()).toBe(frontend);
    expect(consoleErrors).toEqual([]);
  });

  it('returns from a cancelled consent without a connection', async () => {
    await openSettings('org-cancels');
    await page.click('#connect');
    await consent('Sandbox Company_US_1', 'Cancel');
    await see('#banner', 'You cancelled. Nothing was changed.');
    await see('#status', 'Not connected');
    expect(page.url()).toBe(frontend);
    expect(consoleErrors).toEqual([]);
  });

  it('returns to the frontend if a callback is rejected, without the code in the address', async () => {
    await openPage();
    await page.goto(`${service}/api/v1/oauth/quickbooks/callback?code=c&state=forged&realmId=1`);
    await see('#banner', 'This sign-in has expired, or was started in another browser.');
    expect(page.url()).toBe(frontend);
    expect(consoleErrors).toEqual([]);
  });

  it('sees why a connection was lost, and can reconnect it', async () => {
    await openSettings('org-lost', {
      needs_reauthorization: true,
      reason: 'authorization_revoked',
      realm_id: '9341452000000001',
      company_name: 'Sandbox Company_US_1',
    });
    await see('#status', 'Reconnection needed');
    await see('#note', /may have been disconnected inside QuickBooks/);
    await page.click('#reconnect');
    await page.waitForSelector('#company');
    expect(consoleErrors).toEqual([]);
  });

  it('reads the API reference, which loads nothing from other hosts', async () => {
    await openPage();
    const origins = new Set<string>();
    page.on('request', (request) => origins.add(new URL(request.url()).origin));
    await page.goto(`${service}/docs`);
    await see('h1', 'Accounting Integration Service');
    await page.locator('#operations-Connection-getStatus .opblock-summary-control').click();
    await see('#operations-Connection-getStatus', 'needs_reauthorization');
    expect([...origins]).toEqual([service]);
    expect(consoleErrors).toEqual([]);
  });

  it('sees that the service is unreachable after SIGTERM, at which development exits with 0', async () => {
    await openSettings('org-stays');
    await see('#status', 'Not connected');
    expect(await development.kill('SIGTERM')).toBe(0);
    await see('#status', 'Service unreachable');
  });

  /** Opens the settings page in a new browser session. @param status replaces the service's response */
  async function openSettings(organization: string, status?: Record<string, unknown>): Promise<void> {
    await openPage();
    if (status) {
      const headers = { 'Access-Control-Allow-Origin': new URL(frontend).origin };
      await page.route('**/status/*', (route) => route.fulfill({ headers, json: status }));
    }
    await page.goto(`${frontend}?organization=${organization}`);
  }

  async function openPage(): Promise<void> {
    consoleErrors = [];
    context = await browser.newContext();
    page = await context.newPage();
    page.setDefaultTimeout(0); // the test has a timeout
    page.on('console', (message) => {
      if (message.type() === 'error') consoleErrors.push(message.text());
    });
    page.on('pageerror', (error) => consoleErrors.push(error.message));
  }

  async function consent(company: string, button: 'Connect' | 'Cancel'): Promise<void> {
    await page.getByLabel('Company').selectOption({ label: company });
    await page.getByRole('button', { name: button }).click();
  }

  async function see(selector: string, content: string | RegExp): Promise<void> {
    await page.locator(selector).filter({ hasText: content, visible: true }).waitFor();
  }
});

const CHROMIUM_ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
