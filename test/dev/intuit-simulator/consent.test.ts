import { describe, expect, it } from '@jest/globals';
import { REDIRECT_URI, useSimulator } from '../simulator-client.ts';

const client = useSimulator();

describe('the simulator’s consent page', () => {
  it('names the app and the companies, and escapes every value', async () => {
    client.simulator.setCompany('7', '<b>Tom & Jerry</b>');
    const page = await fetch(client.authorizationUrl({ state: '"><script>alert(1)</script>' }));
    const text = await page.text();

    expect(page.status).toBe(200);
    expect(page.headers.get('content-type')).toMatch(/^text\/html/);
    expect(text).toContain('Connect Octup to QuickBooks');
    expect(text).toContain('Craig&#39;s Design and Landscaping Services');
    expect(text).toContain('&lt;b&gt;Tom &amp; Jerry&lt;/b&gt;');
    expect(text).not.toMatch(/<script|<b>/);
  });

  it('does not offer a company of the other environment', async () => {
    client.simulator.setCompany('7', undefined);
    expect(await (await fetch(client.authorizationUrl())).text()).not.toContain('value="7"');
  });

  it('redirects with code, state and company if the user agrees', async () => {
    const callback = new URL(await client.simulator.authorize(client.authorizationUrl(), { realmId: '7' }));
    expect(callback.origin + callback.pathname).toBe(REDIRECT_URI);
    expect(Object.fromEntries(callback.searchParams)).toEqual({
      code: expect.stringMatching(/^\w{40,512}$/),
      state: 'the-state',
      realmId: '7',
    });
  });

  it('redirects with access_denied and the state if the user declines', async () => {
    const callback = await client.simulator.authorize(client.authorizationUrl(), { consent: false });
    expect(callback).toBe(`${REDIRECT_URI}?error=access_denied&state=the-state`);
  });

  it.each([
    [{ client_id: 'another' }, 'client_id is not'],
    [{ response_type: 'token' }, 'response_type must be'],
    [{ redirect_uri: 'javascript:alert(1)' }, 'redirect_uri is not'],
    [{ redirect_uri: '' }, 'redirect_uri is missing'],
    [{ scope: 'everything' }, 'scope &quot;everything&quot; does not exist'],
    [{ state: '' }, 'state is missing'],
  ])('rejects an authorization request with %j', async (changes, problem) => {
    const url = client.authorizationUrl(changes);
    const page = await fetch(url);
    expect(page.status).toBe(400);
    expect(await page.text()).toContain(problem);
    await expect(client.simulator.authorize(url)).rejects.toThrow('400');
  });

  it('rejects a repeated parameter', async () => {
    const page = await fetch(`${client.authorizationUrl()}&state=another`);
    expect(page.status).toBe(400);
    expect(await page.text()).toContain('state is repeated');
  });

  it('rejects a company ID that does not consist of digits', async () => {
    await expect(client.simulator.authorize(client.authorizationUrl(), { realmId: 'x' })).rejects.toThrow('digits');
  });

  it('accepts only registered redirect URIs, if there are any', async () => {
    client.simulator.settings.redirectUris = [REDIRECT_URI];
    expect((await fetch(client.authorizationUrl())).status).toBe(200);
    expect((await fetch(client.authorizationUrl({ redirect_uri: `${REDIRECT_URI}/` }))).status).toBe(400);
  });
});
