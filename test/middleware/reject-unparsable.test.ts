import { once } from 'node:events';
import { expect, it } from '@jest/globals';
import express from 'express';
import { listen } from '../../src/lifecycle/listen.ts';
import { preferRejection } from '../../src/middleware/reject-unparsable.ts';
import { connectRaw } from '../support/raw-client.ts';

it('reports why a body broke off, whatever a handler makes of that', async () => {
  const app = express();
  app.post('/', async (request) => {
    await once(request.resume(), 'end').catch(() => undefined);
    throw new DOMException('the caller has left', 'AbortError');
  });
  app.use(preferRejection);
  app.use(((error, _request, response, _next) => {
    response.status(400).send(error.message);
  }) as express.ErrorRequestHandler);
  const server = await listen(app, { host: '127.0.0.1', port: 0 });
  const client = await connectRaw(`http://127.0.0.1:${server.address.port}`);
  client.send('POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\nno chunk\r\n');
  expect(await client.closed()).toMatch(/^HTTP\/1\.1 400 [\s\S]*invalid_request: The request is not valid HTTP/);
  await server.close();
});
