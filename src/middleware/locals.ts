import type { Response } from 'express';
import type { Caller } from '../auth/caller-authenticator.ts';
import type { ConnectLink } from '../auth/connect-links.ts';
import type { ErrorCode } from '../errors.ts';
import type { OrganizationId } from '../models/connection.ts';
import type { BrowserFlow } from './browser-route.ts';

declare global {
  namespace Express {
    /** What one middleware leaves for the next; absent until then. */
    interface Locals {
      /** Set by `authenticate`. */
      caller?: Caller;
      /** Set by `authenticate` if a connect link authorized the request. */
      link?: ConnectLink;
      /** The organization of the path, or of a signed link or state: for the log. */
      organizationId?: OrganizationId;
      /** Set by `rememberMount`: where the router is mounted. */
      mount?: string;
      /** Set by the error handler. */
      errorCode?: ErrorCode;
      /** Set by the error handler: why, for the log alone. */
      errorReason?: string | undefined;
      /** Set by `browserRoute`. */
      browserFlow?: BrowserFlow;
    }
  }
}

/** The caller that `authenticate` identified. */
export function callerOf({ locals }: Response): Caller {
  if (!locals.caller) throw new Error('the route is not behind authenticate');
  return locals.caller;
}
