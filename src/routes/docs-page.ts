/** The page's CSP: nothing from other hosts, and no inline script or style. Swagger UI's icons are `data:` URLs. */
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

/**
 * Returns the page in which Swagger UI shows the document. @param folder the path of its files, relative to the page: a proxy
 * may serve the page below a prefix
 */
export function docsPage(folder: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Accounting Integration Service</title>
<link rel="icon" href="${folder}/favicon-32x32.png">
<link rel="stylesheet" href="${folder}/swagger-ui.css">
<link rel="stylesheet" href="${folder}/page.css">
<div id="reference"></div>
<script src="${folder}/swagger-ui-bundle.js"></script>
<script src="${folder}/page.js"></script>
</html>
`;
}

/** The base style that Swagger UI expects of its page, a line between two responses, and tables as lists on small screens. */
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

/** Starts Swagger UI, which would encode the slashes of a resource: the gateway requires them unencoded. */
export const DOCS_SCRIPT = `
SwaggerUIBundle({
  url: new URL('../openapi.json', document.currentScript.src).href,
  dom_id: '#reference',
  deepLinking: true,
  validatorUrl: null,
  requestInterceptor: (request) => {
    request.url = request.url.replace(/%2F/g, '/');
    return request;
  },
});
`;
