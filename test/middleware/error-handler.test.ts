import { describe, expect, it } from '@jest/globals';
import express from 'express';
import supertest from 'supertest';
import { ReturnPages } from '../../src/auth/return-pages.ts';
import { loadConfig } from '../../src/config/config.ts';
import { createErrorHandler } from '../../src/middleware/error-handler.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { PRODUCTION } from '../support/variables.ts';

describe('an error in a request', () => {
  it('is the caller’s fault if the path cannot be decoded, and the service’s if anything else cannot', async () => {
    const lines: string[] = [];
    const logger = await createLogger(loadConfig(PRODUCTION), { write: (line) => lines.push(line) });
    const app = express();
    app.get('/decoded/:name', (_request, response) => void response.json({}));
    app.get('/secret', () => void decodeURIComponent('100%canary'));
    app.use(createErrorHandler(logger, new ReturnPages(['https://app.octup.com'])));

    const path = await supertest(app).get('/decoded/%zz');
    expect([path.status, path.body]).toEqual([400, expect.objectContaining({ detail: 'path cannot be decoded' })]);
    expect(lines).toEqual([]);
    const secret = await supertest(app).get('/secret');
    expect([secret.status, secret.body.code]).toEqual([500, 'internal_error']);
    expect(lines).toEqual([expect.stringContaining('request.failed')]);
  });
});
