import type { Request } from 'express';
import type { SimulatedResponse } from './responses.ts';

const KEPT = 1_000;

/** The responses to POSTs with a `requestid`: a repeated one gets the first one's response and changes nothing. */
export class RepeatedRequests {
  private readonly responses = new Map<string, SimulatedResponse>();

  async respond(
    req: Request,
    respond: () => SimulatedResponse | Promise<SimulatedResponse>,
  ): Promise<SimulatedResponse> {
    const id = req.query['requestid'];
    if (req.method !== 'POST' || typeof id !== 'string') return respond();
    const key = `${req.params['realmId']}/${id}`;
    const known = this.responses.get(key);
    if (known) return known;
    const response = await respond();
    if (response.status !== 200) return response;
    this.responses.set(key, response);
    const [oldest] = this.responses.keys();
    if (this.responses.size > KEPT && oldest !== undefined) this.responses.delete(oldest);
    return response;
  }
}
