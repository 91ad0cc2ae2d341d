import express, { type Express } from 'express';
import helmet from 'helmet';
import type { Context } from './context.ts';
import { AppError } from './errors.ts';
import { allowOrigins } from './middleware/allow-origins.ts';
import { authenticate } from './middleware/authenticate.ts';
import { createErrorHandler, pageForBrowsers } from './middleware/error-handler.ts';
import { errorPageStyleSource } from './middleware/error-page.ts';
import { limitBody } from './middleware/limit-body.ts';
import { noteMount, observeRequests } from './middleware/observe-requests.ts';
import { createDocsRouter } from './routes/docs.ts';
import { createGatewayRouter } from './routes/gateway.ts';
import { createHealthRouter } from './routes/health.ts';
import { createOAuthRouter } from './routes/oauth.ts';

const OAUTH = '/api/v1/oauth/quickbooks';

/** The HTTP surface: middleware and routers, in the order in which a request meets them. */
export function createApp(context: Context): Express {
  const { config, logger } = context;
  const app = express();
  app.disable('etag');
  app.set('trust proxy', config.trustProxy);

  app.use(observeRequests(logger, context.metrics));
  app.use(helmet(securityHeaders(config.production)));
  app.use(noStore);
  app.use([`${OAUTH}/connect`, `${OAUTH}/callback`], pageForBrowsers);
  app.use(allowOrigins(config));
  app.use(limitBody);

  app.use(createHealthRouter(context));
  app.use(createDocsRouter(context));
  app.use(['/api/v1', '/v3'], authenticate(context.callers, context.connectLinks, context.rateLimits.refused));
  app.use(OAUTH, noteMount, createOAuthRouter(context));
  app.use(['/api/v1/quickbooks', '/v3/company'], noteMount, createGatewayRouter(context));

  app.use((request) => {
    decodeURIComponent(request.path); // what cannot be decoded is told as that
    throw new AppError('not_found', 'There is nothing at this address.');
  });
  app.use(createErrorHandler(logger, config.frontendUrl));
  return app;
}

function securityHeaders(production: boolean): Parameters<typeof helmet>[0] {
  return {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        styleSrc: [errorPageStyleSource],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
      },
    },
    referrerPolicy: { policy: 'no-referrer' },
    strictTransportSecurity: production,
  };
}

const noStore: express.RequestHandler = (_request, response, next) => {
  response.set('Cache-Control', 'no-store');
  next();
};
