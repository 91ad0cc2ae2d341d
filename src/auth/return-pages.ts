import { AppError } from '../errors.ts';

const MAX_LENGTH = 1000;
const DEFAULT_PATH = '/settings/integrations';
/** What a flow adds to the return page's query. Values that the page already has by these names are removed. */
const OUTCOME_NAMES = ['connected', 'disconnected', 'system', 'error', 'confirmation', 'request_id'];

/** What a browser returns with. */
export type ReturnOutcome = { system: string } & (
  | { connected: 'true' }
  | { connected: 'pending'; confirmation: string }
  | { connected: 'false'; error: string; request_id?: string }
  | { disconnected: 'true' }
);

/** The frontend's pages that browsers return to. Never any other address. */
export class ReturnPages {
  private readonly defaultUrl: string;
  private readonly origins: string[];

  /** @param frontendUrls without a trailing slash; the first is the default */
  constructor(frontendUrls: readonly string[]) {
    this.defaultUrl = `${frontendUrls[0] ?? ''}${DEFAULT_PATH}`;
    this.origins = frontendUrls.map((url) => new URL(url).origin);
  }

  /** Returns a page that a caller may choose, in its normal form. @throws AppError `invalid_request` */
  parse(returnUrl: string): string {
    const url = this.allowed(returnUrl);
    const isShort = returnUrl.length <= MAX_LENGTH && (url?.href.length ?? 0) <= MAX_LENGTH;
    if (url && isShort && !returnUrl.includes('#')) return url.href;
    throw new AppError('invalid_request', {
      detail: `return_url must be a URL on one of the frontends' origins, at most ${MAX_LENGTH} characters, without a fragment`,
    });
  }

  /** The URL that a browser returns to. @param returnUrl the default page if it is absent, or no longer allowed */
  withOutcome(returnUrl: string | undefined, outcome: ReturnOutcome): string {
    const url = (returnUrl === undefined ? undefined : this.allowed(returnUrl)) ?? new URL(this.defaultUrl);
    for (const name of OUTCOME_NAMES) url.searchParams.delete(name);
    for (const [name, value] of Object.entries(outcome)) url.searchParams.set(name, value);
    return url.href;
  }

  private allowed(text: string): URL | undefined {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    // The origin of `blob:https://app.example/…` is the frontend's, too.
    const isPage = url && /^https?:$/.test(url.protocol) && !url.username && !url.password;
    const isAllowed = isPage && this.origins.includes(url.origin);
    return isAllowed ? url : undefined;
  }
}
