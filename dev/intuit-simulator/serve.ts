import { setTimeout as delay } from 'node:timers/promises';
import type { Request, RequestHandler } from 'express';
import { type Call, describeCall, type Endpoint } from './calls.ts';
import { answerInstead, type Fault, type Faults } from './faults.ts';
import { type Answer, send, sendHalf } from './responses.ts';

/** Makes the answer of a route; the fault tells what is to be odd about it. */
export type AnswerTo = (req: Request, fault: Fault | undefined) => Answer;

/** Makes a request handler that records each call and lets faults happen around the route's answer. */
export type Serve = (endpoint: Endpoint, answerTo: AnswerTo) => RequestHandler;

/** The one way all of Intuit's endpoints are served. */
export function servedWith(calls: Call[], faults: Faults, now: () => Date): Serve {
  return (endpoint, answerTo) => async (req, res) => {
    const call = describeCall(endpoint, req, String(res.getHeader('intuit_tid')), now());
    calls.push(call);
    const fault = faults.take(call);
    const kind = fault?.kind;

    if (kind === 'hang') return;
    if (kind === 'drop_before') return void res.destroy();
    if (kind === 'slow') await waitFor(fault);
    if (res.destroyed) return;

    const answer = (fault && answerInstead(fault)) ?? answerTo(req, fault);

    if (kind === 'hang_after') return;
    if (kind === 'drop_after') return void res.destroy();
    if (kind === 'slow_after') await waitFor(fault);
    if (res.destroyed) return;

    call.status = answer.status;
    if (kind === 'truncate') return sendHalf(res, answer);
    send(res, answer);
  };
}

async function waitFor(fault: Fault | undefined): Promise<void> {
  await (fault?.until ?? delay(fault?.delayMs ?? 1000, undefined, { ref: false }));
}
