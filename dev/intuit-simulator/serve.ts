import { setTimeout as delay } from 'node:timers/promises';
import type { Request, RequestHandler } from 'express';
import { type Call, describeCall, type Endpoint } from './calls.ts';
import { type Fault, type Faults, faultResponse } from './faults.ts';
import { type SimulatedResponse, send, sendHalf } from './responses.ts';

/** Creates a route's response. @param fault what is to be different about it */
type Respond = (req: Request, fault: Fault | undefined) => SimulatedResponse | Promise<SimulatedResponse>;

/** What is kept of the calls. */
export interface RecordSettings {
  /** How many calls are kept, the latest. */
  keptCalls: number;
}

/** Creates a request handler that records each call and applies faults to it. */
export type Serve = (endpoint: Endpoint, respond: Respond) => RequestHandler;

interface Dependencies {
  calls: Call[];
  totals: Record<string, number>;
  faults: Faults;
  settings: RecordSettings;
  now: () => Date;
}

/** Creates the function that serves every endpoint. */
export function createServe({ calls, totals, faults, settings, now }: Dependencies): Serve {
  return (endpoint, respond) => async (req, res) => {
    const call = describeCall(endpoint, req, String(res.getHeader('intuit_tid')), now());
    calls.push(call);
    if (calls.length > settings.keptCalls) calls.shift();
    const fault = faults.take(call);
    const kind = fault?.kind;

    if (kind === 'hang') return;
    if (kind === 'drop_before') return void res.destroy();
    if (kind === 'slow') await waitFor(fault);
    if (res.destroyed) return;

    const response = (fault && faultResponse(fault)) ?? (await respond(req, fault));

    if (kind === 'hang_after') return;
    if (kind === 'drop_after') return void res.destroy();
    if (kind === 'slow_after') await waitFor(fault);
    if (res.destroyed) return;

    call.status = response.status;
    totals[`${endpoint} ${call.status}`] = (totals[`${endpoint} ${call.status}`] ?? 0) + 1;
    if (kind === 'truncate') return sendHalf(res, response);
    send(res, response);
  };
}

async function waitFor(fault: Fault | undefined): Promise<void> {
  await (fault?.until ?? delay(fault?.delayMs ?? 1000, undefined, { ref: false }));
}
