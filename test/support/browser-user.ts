import { type Browser, chromium, type Page } from 'playwright-core';
import type { Development } from './development.ts';

/** A person with a browser session of their own, on the stand-in frontend of development. */
export interface BrowserUser {
  page: Page;
  /** Errors in the page's console, violations of its content security policy among them. */
  consoleErrors: string[];
  /** Opens the settings page, signed in for an organization. */
  openSettings(organization: string): Promise<void>;
  /** Waits until the element is visible with this content. */
  see(selector: string, content: string | RegExp): Promise<void>;
  /** Answers on Intuit's consent page. @param on the page that shows it, if it is a popup */
  consent(company: string, button: 'Connect' | 'Cancel', on?: Page): Promise<void>;
  /** Clicks Connect, and returns the popup that opens. */
  connectInPopup(): Promise<Page>;
  leave(): Promise<void>;
}

/** Starts Chromium, which CHROMIUM_PATH names. */
export function startChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: process.env['CHROMIUM_PATH'] ?? '', args: CHROMIUM_ARGUMENTS });
}

/** Opens an empty page in a new browser session. */
export async function openBrowser(browser: Browser, { frontend }: Development): Promise<BrowserUser> {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(0); // the test has a timeout
  const consoleErrors: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') consoleErrors.push(message.text());
  });
  page.on('pageerror', (error) => consoleErrors.push(error.message));

  return {
    page,
    consoleErrors,
    async openSettings(organization) {
      await page.goto(`${frontend}?organization=${organization}`);
    },
    async see(selector, content) {
      await page.locator(selector).filter({ hasText: content, visible: true }).waitFor();
    },
    async consent(company, button, on = page) {
      await on.getByLabel('Company').selectOption({ label: company });
      await on.getByRole('button', { name: button }).click();
    },
    async connectInPopup() {
      const opened = page.waitForEvent('popup');
      await page.click('#connect');
      const popup = await opened;
      popup.setDefaultTimeout(0);
      return popup;
    },
    leave: () => context.close(),
  };
}

const CHROMIUM_ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
