/** Nothing from other hosts, no script and no style within the page; Swagger UI's icons are data. */
export const DOCS_CSP = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join(';');

/** Where Swagger UI shows the document. */
export const DOCS_PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Accounting Integration Service</title>
<link rel="icon" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="stylesheet" href="/docs/page.css">
<div id="reference"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/page.js"></script>
</html>
`;

/** What Swagger UI leaves to its page, a line between two answers, and its tables as lists where there is little room. */
export const DOCS_STYLE = `
html { box-sizing: border-box; }
*, *::before, *::after { box-sizing: inherit; }
body { margin: 0; background: #fafafa; }
.swagger-ui .responses-table td.response-col_links { display: none; }
.swagger-ui .response + .response > td { padding-top: 1rem; border-top: 1px solid rgb(59 65 81 / 20%); }
@media (max-width: 40rem) {
  .swagger-ui :is(.parameters, .responses-table) > thead { display: none; }
  .swagger-ui :is(.parameters, .responses-table) > tbody > tr > td { display: block; width: auto; max-width: none; }
  .swagger-ui .response > td.response-col_description { padding-top: .5rem; border-top: 0; }
}
`;

/** The gateway takes slashes as they are; Swagger UI would encode them. */
export const DOCS_SCRIPT = `
SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#reference',
  deepLinking: true,
  validatorUrl: null,
  requestInterceptor: (request) => {
    request.url = request.url.replace(/%2F/g, '/');
    return request;
  },
});
`;
