import type { Provider } from './provider.ts';

/** What applies to every route. */
export function introduction(providers: readonly Provider[]): string {
  return `
Connects organizations to accounting systems (${providers.map(({ profile }) => profile.title).join(', ')}) and forwards requests to their APIs, so that no token leaves this service.

An **organization** is a customer of Octup. A **company** is an account in the accounting system, such as a QuickBooks
Online company, identified by its \`realm_id\` (Intuit's \`realmId\`). A **connection** is the organization's authorization
to act in that company: it is *active*, or *lost* until the user connects again, or there is none.

**Getting started.** Create a link with \`POST …/connect/{organization_id}\` and have the user open it. Poll
\`…/status/{organization_id}\` until \`connected\` is true. Then call the accounting system's API through the gateway.

**Credentials.** \`Authorization: Bearer …\` with an API key, which can act for every organization, or with a user's JWT,
which can act for the organization that its claim names. Development requires none by default; the \`Host\` must then be
the service's own or loopback.

**Scopes.** Each operation requires one, which its security requirement names: \`connections:read\`, \`connections:write\`,
\`connections:list\`, \`{accounting_system}:read\` or \`{accounting_system}:write\`. Credentials that lack it get 403 \`forbidden\`, and
\`WWW-Authenticate\` names the scope. An API key has every scope, or those that are listed after it; a JWT has all but
\`connections:list\`, or, with \`AUTH_SCOPES=true\`, those that its \`scope\` or \`scp\` names.

**Errors** are \`application/problem+json\` with a \`code\` for programs. Responses of the accounting system at the gateway
are passed through unchanged and never have this content type.

**Every response** has \`X-Request-Id\`, \`Cache-Control: no-cache, no-store\` (except the files of \`/docs\`), and security headers
that forbid framing and content sniffing. Field names are snake_case; timestamps are ISO 8601 in UTC with milliseconds.

**Methods.** \`HEAD\` works for every GET that changes nothing: not for connect, callback, disconnected and gateway. A method that is not
listed returns 405. \`OPTIONS\` handles CORS preflights, which allow only the frontends' origins. A POST from a page of any
origin but the frontends' and the service's own is rejected.

**Rate limits**, per minute: POST connect, confirm and disconnect 60 (configurable) per caller, and connections as many; status, events and gateway ten times
as many per caller and organization; GET connect, callback and disconnected 60 per address. A caller is an API key or a JWT's subject, otherwise the
address. Rejected credentials are also counted per address; valid ones still pass. Health, metrics and this reference are
not limited. The \`RateLimit\` headers report what remains. Besides, the gateway keeps the calls to each company below the
accounting system's own limits: a call waits up to 2 seconds, then returns 429 \`rate_limited\` with \`Retry-After\`, as do
the company's next calls after a 429 of the accounting system.
`.trim();
}

/** The groups of operations. */
export const TAGS = [
  { name: 'Connection', description: 'Connect, callback, confirm, status, disconnect, and events.' },
  { name: 'Gateway', description: "The accounting system's API, with the connection's access token." },
  { name: 'Operations', description: 'Health and metrics.' },
  { name: 'Reference', description: 'This document.' },
];
