import type { RequestListener } from 'node:http';
import { expect, it } from '@jest/globals';
import express from 'express';
import supertest from 'supertest';
import { listen } from '../../src/lifecycle/listen.ts';
import { defineMessageClasses } from '../../src/middleware/message-classes.ts';

it("creates requests and responses with their application's prototypes, which Express then does not change", async () => {
  const app = express();
  defineMessageClasses(app);
  app.get('/', (request, response) => {
    response.json({ url: request.originalUrl, isOwnApplication: response.app === app });
  });
  const { request, response } = app as unknown as Record<'request' | 'response', object>;
  const prototypes: unknown[][] = [];
  const listener: RequestListener = (incoming, outgoing) => {
    const current = () => [Object.getPrototypeOf(incoming), Object.getPrototypeOf(outgoing)];
    prototypes.push(current());
    (app as RequestListener)(incoming, outgoing);
    prototypes.push(current());
  };
  const server = await listen(Object.assign(listener, { request, response }), { host: '127.0.0.1', port: 0 });
  const { body } = await supertest(`http://127.0.0.1:${server.address.port}`).get('/?a=b');
  await server.close();
  expect(body).toEqual({ url: '/?a=b', isOwnApplication: true });
  for (const [ofRequest, ofResponse] of prototypes) {
    expect(ofRequest === request).toBe(true);
    expect(ofResponse === response).toBe(true);
  }
  expect(prototypes).toHaveLength(2);
});
