import type { RequestListener } from 'node:http';
import { expect, it } from '@jest/globals';
import supertest from 'supertest';
import { createApp } from '../../src/app.ts';
import { listen } from '../../src/lifecycle/listen.ts';
import { createSqlite } from '../support/databases.ts';
import { useHarness } from '../support/harness.ts';

const harness = useHarness(createSqlite);

it("serves requests and responses that have the application's prototypes before Express would set them", async () => {
  const app = createApp(harness.home);
  const { request, response } = app as unknown as Record<'request' | 'response', object>;
  let isPrepared: boolean | undefined;
  let isOwnApplication: boolean | undefined;
  const listener: RequestListener = (incoming, outgoing) => {
    isPrepared = Object.getPrototypeOf(incoming) === request && Object.getPrototypeOf(outgoing) === response;
    (app as RequestListener)(incoming, outgoing);
    isOwnApplication = Object(outgoing).app === app;
  };
  const server = await listen(Object.assign(listener, { request, response }), { host: '127.0.0.1', port: 0 });
  try {
    await supertest(`http://127.0.0.1:${server.address.port}`).get('/healthz').expect(200);
  } finally {
    await server.close();
  }
  expect({ isPrepared, isOwnApplication }).toEqual({ isPrepared: true, isOwnApplication: true });
});
