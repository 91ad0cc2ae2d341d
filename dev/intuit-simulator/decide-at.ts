/** A person's choice on the consent page. */
export interface Choice {
  realmId: string;
  /** True unless told otherwise; false is Cancel. */
  consent?: boolean;
}

/** Opens the consent page, chooses, and gives back where the page then leads. Throws what the page says. */
export async function decideAt(authorizeUrl: string, url: string, choice: Choice): Promise<string> {
  const { search, searchParams } = new URL(url);
  if (url !== authorizeUrl + search) throw new Error(`Not the consent page ${authorizeUrl}: ${url}`);
  const page = await fetch(url);
  const text = await page.text();
  if (page.status !== 200) throw new Error(`The consent page answered ${page.status}: ${text}`);

  const { realmId, consent = true } = choice;
  const body = new URLSearchParams(searchParams);
  body.set('realmId', realmId);
  body.set('decision', consent ? 'connect' : 'cancel');
  const decision = await fetch(authorizeUrl, { method: 'POST', body, redirect: 'manual' });
  const location = decision.headers.get('location');
  if (location === null) throw new Error(`The decision was answered ${decision.status}: ${await decision.text()}`);
  return location;
}
