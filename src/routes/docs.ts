import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Router } from 'express';
import type { Context } from '../context.ts';
import { methodNotAllowed } from '../middleware/method-not-allowed.ts';
import { openApiDocument } from '../openapi/document.ts';
import { docsFile } from '../schemas/requests.ts';
import { DOCS_CSP, DOCS_SCRIPT, DOCS_STYLE, docsPage } from './docs-page.ts';

const SWAGGER_UI = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
/** The page's own files. All others are Swagger UI's. */
const OWN_FILES: Partial<Record<string, string>> = { 'page.css': DOCS_STYLE, 'page.js': DOCS_SCRIPT };

/**
 * `/openapi.json`: the API reference for programs. `/docs`: the same as a page, with nothing loaded from other hosts. Each
 * content is read or built once, for the first request, and all responses share it: they are not limited.
 */
export function createDocsRouter({ config, strategies }: Context): Router {
  const router = Router();
  const contents = new Map<string, Buffer>();
  const content = (name: string, create: () => string | Buffer): Buffer => {
    const created = contents.get(name) ?? Buffer.from(create());
    contents.set(name, created);
    return created;
  };

  router
    .route('/openapi.json')
    .get((_request, response) => {
      const document = () => JSON.stringify(openApiDocument(config, strategies.all()));
      response.type('json').send(content('openapi.json', document));
    })
    .all(methodNotAllowed('GET, HEAD'));

  router
    .route('/docs')
    .get((request, response) => {
      const page = docsPage(request.path.endsWith('/') ? '.' : 'docs');
      response.set('Content-Security-Policy', DOCS_CSP).type('html').send(page);
    })
    .all(methodNotAllowed('GET, HEAD'));

  router
    .route('/docs/:file')
    .get((request, response, next) => {
      const { data: file } = docsFile.safeParse(request.params['file']);
      if (!file) return next('route');
      const read = () => OWN_FILES[file] ?? readFileSync(join(SWAGGER_UI, file));
      response.set('Cache-Control', 'public, max-age=3600').type(file).send(content(file, read));
    })
    .all(methodNotAllowed('GET, HEAD'));

  return router;
}
