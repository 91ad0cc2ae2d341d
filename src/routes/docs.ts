import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Router } from 'express';
import type { Context } from '../context.ts';
import { methodNotAllowed } from '../middleware/method-not-allowed.ts';
import { openApiDocument } from '../openapi/document.ts';
import { docsFile } from '../schemas/requests.ts';
import { DOCS_CSP, DOCS_PAGE, DOCS_SCRIPT, DOCS_STYLE } from './docs-page.ts';

const SWAGGER_UI = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
/** The page's own files. All others are Swagger UI's. */
const OWN_FILES: Partial<Record<string, string>> = { 'page.css': DOCS_STYLE, 'page.js': DOCS_SCRIPT };

/** `/openapi.json`: the API reference for programs. `/docs`: the same as a page, with nothing loaded from other hosts. */
export function createDocsRouter({ config, strategies }: Context): Router {
  const router = Router();
  let document: string | undefined; // built for the first request, so that startup does not wait for it

  router
    .route('/openapi.json')
    .get((_request, response) => {
      document ??= JSON.stringify(openApiDocument(config, strategies.all()));
      response.type('json').send(document);
    })
    .all(methodNotAllowed('GET, HEAD'));

  router
    .route('/docs')
    .get((_request, response) => {
      response.set('Content-Security-Policy', DOCS_CSP).type('html').send(DOCS_PAGE);
    })
    .all(methodNotAllowed('GET, HEAD'));

  router
    .route('/docs/:file')
    .get(async (request, response, next) => {
      const { data: file } = docsFile.safeParse(request.params['file']);
      if (!file) return next('route');
      const content = OWN_FILES[file] ?? (await readFile(join(SWAGGER_UI, file)));
      response.set('Cache-Control', 'public, max-age=3600').type(file).send(content);
    })
    .all(methodNotAllowed('GET, HEAD'));

  return router;
}
