/** What holds for every call. */
export const DESCRIPTION = `
Connects organizations to QuickBooks Online and forwards calls to QuickBooks for them, so that no token leaves this service.

An **organization** is Octup's customer; a **company** is a QuickBooks Online company, named by Intuit's \`realmId\`;
a **connection** is the organization's right to act in that company. A connection is *active*, or *lost* until the person
connects again, or there is none.

**Where to begin.** Make a link with \`POST …/connect/{organization_id}\` and have the person open it. Read
\`…/status/{organization_id}\` until \`connected\` is true. Then call QuickBooks' API through the gateway.

**Credentials.** \`Authorization: Bearer …\`, with an API key (acts for every organization) or a user's JWT (acts for the one
that its claim names). Development needs none.

**Errors** are \`application/problem+json\` with a \`code\` to decide by. What QuickBooks itself answers at the gateway passes
through unchanged and never has this content type.

**On every answer**: \`X-Request-Id\`, \`Cache-Control: no-store\` (the files of \`/docs\` aside), and headers that keep browsers from framing and guessing.
Field names are snake_case, instants ISO 8601 in UTC with milliseconds.

**Methods.** \`HEAD\` works where a GET changes nothing, so not on connect, callback and gateway. Any other method than the
ones listed is 405. \`OPTIONS\` answers the preflight of the frontend's pages; those of other origins may not call.

**Limits**, per minute: the change of a connection 60 (or as configured), by caller; status, events and gateway ten times
this, by caller; connect and callback in a browser by address. A caller is an API key or a JWT's subject, without them the
address. Refused credentials count by address too; good ones pass all the same. Health, metrics and this reference are not
limited. The \`RateLimit\` headers tell what is left.
`.trim();

/** The document's chapters. */
export const TAGS = [
  { name: 'Connection', description: 'connect, callback, status, disconnect, and what happened.' },
  { name: 'Gateway', description: "QuickBooks' API with the connection's access token." },
  { name: 'Operation', description: 'Health and metrics.' },
  { name: 'Reference', description: 'This document.' },
];

/** The ways in. */
export const SECURITY_SCHEMES = {
  apiKey: {
    type: 'http',
    scheme: 'bearer',
    description: 'A key of a sibling service (`API_KEYS`). Acts for every organization.',
  },
  userToken: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: "A user's JWT, checked against `AUTH_JWKS_URL`. Acts for the organization that its claim names.",
  },
  connectLink: {
    type: 'apiKey',
    in: 'query',
    name: 'link',
    description: 'The `link` of a `connect_url`: good for 5 minutes, one use and one organization.',
  },
} as const;
