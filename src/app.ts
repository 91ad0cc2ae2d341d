import express, { type Express, type Request, type RequestHandler, type Response, type Router } from 'express';
import helmet from 'helmet';
import type { Context } from './context.ts';
import { AppError } from './errors.ts';
import { allowOrigins } from './middleware/allow-origins.ts';
import { authenticate } from './middleware/authenticate.ts';
import { browserRoute } from './middleware/browser-route.ts';
import { createErrorHandler } from './middleware/error-handler.ts';
import { limitBody } from './middleware/limit-body.ts';
import { defineMessageClasses } from './middleware/message-classes.ts';
import { observeRequests, rememberMount } from './middleware/observe-requests.ts';
import { preferRejection, rejectUnparsable } from './middleware/reject-unparsable.ts';
import { RoutePatterns } from './middleware/route-patterns.ts';
import { createConnectRouter } from './routes/connect.ts';
import { createConnectionsRouter } from './routes/connections.ts';
import { createDocsRouter } from './routes/docs.ts';
import { createGatewayRouter, gatewayPaths } from './routes/gateway.ts';
import { createHealthRouter } from './routes/health.ts';
import { createMetricsRouter } from './routes/metrics.ts';
import { createOAuthRouter } from './routes/oauth.ts';

/** Creates the HTTP surface: middleware and routers, in the order in which a request passes them. */
export function createApp(context: Context): Express {
  const { config, strategies } = context;
  const app = createBase(context);
  for (const { system } of strategies.all()) {
    const opened = new RegExp(`^/api/v1/oauth/${system}/(?:connect/[^/]+|callback|disconnected)/?$`, 'i');
    app.use(opened, browserRoute({ ...context, system }));
  }
  const publicUrls = strategies.all().map(({ profile }) => profile.redirectUri);
  app.use(allowOrigins(config.frontendUrls, publicUrls));
  app.use(limitBody(strategies.all().flatMap(gatewayPaths)));

  const nativeRoots = strategies.all().flatMap(({ profile }) => profile.api.nativePath?.match(/^\/[^/]+/) ?? []);
  app.use(
    ['/api/v1', ...nativeRoots],
    authenticate({ ...context, publicUrls, limitRejected: context.rateLimits.rejected }),
  );
  for (const strategy of strategies.all()) {
    app.use(
      `/api/v1/oauth/${strategy.system}`,
      rememberMount,
      createOAuthRouter(context, strategy), // first, since pages poll status
      createConnectRouter(context, strategy),
      createConnectionsRouter(context, strategy),
    );
    app.use(gatewayPaths(strategy), rememberMount, createGatewayRouter(context, strategy));
  }
  app.use(operationalRoutes(context));
  app.use(createDocsRouter(context));

  return complete(app, context);
}

/** Creates the HTTP surface of a process that runs only the worker: health and metrics. */
export function createWorkerApp(context: Context): Express {
  const app = createBase(context);
  app.use(operationalRoutes(context));
  return complete(app, context);
}

/** Creates the HTTP surface of `METRICS_PORT`: `/metrics` alone. */
export function createMetricsApp(context: Context): Express {
  const app = createBase(context);
  app.use(createMetricsRouter(context));
  return complete(app, context);
}

/** What applies to every response. */
function createBase(context: Context): Express {
  const { config } = context;
  const app = express();
  defineMessageClasses(app);
  app.disable('etag');
  app.disable('x-powered-by');
  app.set('trust proxy', config.trustProxy);
  app.use(observeRequests({ ...context, patterns: new RoutePatterns(app) }));
  app.use(constantHeaders(config.production));
  app.use(rejectUnparsable);
  return app;
}

/** Health, and the metrics unless they have a port of their own. */
function operationalRoutes(context: Context): Router[] {
  const { metricsPort } = context.config.server;
  return [createHealthRouter(context), ...(metricsPort === undefined ? [createMetricsRouter(context)] : [])];
}

/** Adds what happens to requests for which there is no route, and to errors. */
function complete(app: Express, { logger, returnPages }: Context): Express {
  app.use((request) => {
    if (!isDecodable(request.path)) throw new AppError('invalid_request', { detail: 'path cannot be decoded' });
    throw new AppError('not_found');
  });
  app.use(preferRejection);
  app.use(createErrorHandler(logger, returnPages));
  return app;
}

function isDecodable(path: string): boolean {
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}

/** Sets the headers that every response has. Helmet's are the same for all requests, and computed once. */
function constantHeaders(production: boolean): RequestHandler {
  const headers = new Map([['Cache-Control', 'no-cache, no-store']]);
  const recorder = {
    setHeader: (name: string, value: string) => headers.set(name, value),
    removeHeader: (name: string) => headers.delete(name),
  };
  helmet(securityHeaders(production))({} as Request, recorder as unknown as Response, () => undefined);
  return (_request, response, next) => {
    response.setHeaders(headers);
    next();
  };
}

function securityHeaders(production: boolean): Parameters<typeof helmet>[0] {
  return {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
      },
    },
    referrerPolicy: { policy: 'no-referrer' },
    strictTransportSecurity: production,
  };
}
