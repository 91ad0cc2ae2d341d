import type { Express } from 'express';

/** What Express lists of a router. */
interface Routes {
  listRoutes(): { path: string; router?: Routes }[];
}

/** Finds the pattern of the route at a path, for requests that end before they reach it. */
export class RoutePatterns {
  private readonly app: Express;
  private routes: { pattern: string; expression: RegExp }[] | undefined;

  constructor(app: Express) {
    this.app = app;
  }

  /** Returns the pattern as a log line writes it; undefined if there is no route at this path. */
  find(path: string): string | undefined {
    this.routes ??= patternsOf(this.app.router as unknown as Routes).map(toRoute);
    return this.routes.find(({ expression }) => expression.test(path))?.pattern;
  }
}

function patternsOf(routes: Routes, mount = ''): string[] {
  return routes.listRoutes().flatMap(({ path, router }) => {
    const pattern = mount + (path === '/' ? '' : path);
    return router ? patternsOf(router, pattern) : [pattern];
  });
}

function toRoute(pattern: string) {
  const source = pattern
    .replaceAll('.', '\\.')
    .replace(/\/:\w+/g, '/[^/]+')
    .replace(/\/\*\w+/g, '/.+');
  return { pattern, expression: new RegExp(`^${source}/?$`, 'i') };
}
