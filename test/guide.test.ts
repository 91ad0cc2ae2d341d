import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { openBrowser, startChromium } from './support/browser-user.ts';
import { type Development, startDevelopment } from './support/development.ts';

const suite = process.env['CHROMIUM_PATH'] ? describe : describe.skip;

suite("a page with the guides' code", () => {
  let development: Development;
  let browser: Browser;

  beforeAll(async () => {
    [browser, development] = await Promise.all([
      startChromium(),
      startDevelopment({ API_KEYS: `billing:${'k'.repeat(32)}`, CONNECT_CONFIRMATION: 'true' }),
    ]);
  });

  afterAll(async () => {
    await browser?.close();
    await development?.kill('SIGKILL');
  });

  it("connects in a popup, confirms, and shows the status: the README's", async () => {
    const [code = ''] = blocks('README.md').filter((block) => block.includes('BroadcastChannel'));
    await connectWith(
      'org-readme',
      `${code.replace('http://localhost:8080', development.service)}
      connectButton.addEventListener('click', connect);
      const show = showStatus;`,
    );
  });

  it("connects in a popup, confirms, and shows the status: docs/frontend.md's", async () => {
    const [connect = '', status = ''] = blocks('docs/frontend.md');
    const [, names, rest = ''] = /^import (\{.*\}) from '.\/quickbooks.js';([\s\S]*)$/.exec(connect) ?? [];
    await connectWith(
      'org-guide',
      `const ${names} = await import('/app/quickbooks.js');
      const getToken = userToken;
      ${rest}
      ${status}`,
    );
  });

  /** Runs the code in a page of the frontend, clicks its button, consents, and waits for the status that it shows. */
  async function connectWith(organization: string, code: string): Promise<void> {
    const user = await openBrowser(browser, development);
    await user.openSettings('org-other'); // the page's own code acts for another organization
    await user.see('#status', 'Not connected');
    await user.page.evaluate(`(async () => {
      const service = ${JSON.stringify(development.service)};
      const organization = ${JSON.stringify(organization)};
      const userToken = async () => {
        const response = await fetch('/app/session', { method: 'POST', body: JSON.stringify({ organization }) });
        return (await response.json()).access_token;
      };
      const connectButton = Object.assign(document.createElement('button'), { id: 'guide', textContent: 'Guide' });
      document.body.prepend(connectButton);
      const showStatus = (status, error) => {
        document.body.prepend(Object.assign(document.createElement('p'), {
          className: 'shown', textContent: [status.connected, status.company_name, error].join(', '),
        }));
      };
      ${code}
    })()`);
    const opened = user.page.waitForEvent('popup');
    await user.page.click('#guide');
    await user.consent('Sandbox Company_US_2', 'Connect', await opened);
    await user.see('.shown', 'true, Sandbox Company_US_2, ');
    await user.leave();
  }
});

function blocks(file: string): string[] {
  const found = [...readFileSync(file, 'utf8').matchAll(/```js\n([\s\S]*?)```/g)].map(([, code = '']) => code);
  expect(found.length).toBeGreaterThan(0);
  return found;
}
