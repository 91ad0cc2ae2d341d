/** A user's choice on the consent page. */
export interface Choice {
  realmId: string;
  /** False to cancel. Default: true. */
  consent?: boolean;
}

/**
 * Opens the consent page and submits it, as a browser does. Returns the URL of the callback.
 * @param url the authorization URL of a flow
 * @throws Error with the page's text if it rejects the request
 */
export async function submitConsent(authorizeUrl: string, url: string, choice: Choice): Promise<string> {
  const { search, searchParams } = new URL(url);
  if (url !== authorizeUrl + search) throw new Error(`Not the consent page ${authorizeUrl}: ${url}`);
  const page = await fetch(url);
  const text = await page.text();
  if (page.status !== 200) throw new Error(`The consent page returned ${page.status}: ${text}`);

  const { realmId, consent = true } = choice;
  const body = new URLSearchParams(searchParams);
  body.set('realmId', realmId);
  body.set('decision', consent ? 'connect' : 'cancel');
  const decision = await fetch(authorizeUrl, { method: 'POST', body, redirect: 'manual' });
  const location = decision.headers.get('location');
  if (location === null)
    throw new Error(`Submitting the consent page returned ${decision.status}: ${await decision.text()}`);
  return location;
}
