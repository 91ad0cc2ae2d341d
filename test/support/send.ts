import { request } from 'node:http';
import { request as requestSecurely } from 'node:https';

/** A response as it arrived. */
export interface Sent {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

/** Sends a request exactly as given: the path is not normalized, and the headers are not checked. */
export async function send(
  origin: string,
  path: string,
  options: {
    method?: string;
    headers?: Record<string, string | string[]>;
    body?: string | Buffer;
    /** The client's address: any in 127.0.0.0/8. */
    from?: string;
    /** The authority of the server's certificate, for an https origin. */
    ca?: string;
  } = {},
): Promise<Sent> {
  const { method = 'GET', headers = {}, body, from, ca } = options;
  const open = origin.startsWith('https:') ? requestSecurely : request;
  return new Promise((resolve, reject) => {
    const localAddress = from === undefined ? {} : { localAddress: from };
    const sent = open(origin, { method, path, headers, agent: false, ...localAddress, ca }, async (response) => {
      let text = '';
      try {
        for await (const chunk of response) text += chunk;
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text });
      } catch (error) {
        reject(error);
      }
    });
    sent.on('error', reject).end(body);
  });
}

/** Returns the `code` of a problem, or the content type of any other response. */
export function problemOf({ headers, body, status }: Sent): unknown {
  if (!String(headers['content-type']).startsWith('application/problem+json')) return headers['content-type'];
  const problem = JSON.parse(body);
  return problem.status === status ? problem.code : problem;
}
