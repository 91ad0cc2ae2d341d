import { Writable } from 'node:stream';
import type { CallerResponse } from '../../src/services/gateway/provider-exchange.ts';

/** The response to a caller who reads nothing but the status. */
export class IgnoredResponse extends Writable implements CallerResponse {
  status = 0;

  writeHead(status: number): void {
    this.status = status;
  }

  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    done();
  }
}
