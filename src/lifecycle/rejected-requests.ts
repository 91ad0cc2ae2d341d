import { IncomingMessage, type RequestListener, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { AppError } from '../errors.ts';
import type { Connections } from './connections.ts';

const ALLOWED_METHODS = 'GET, HEAD, POST';

/**
 * Has `listener` respond to what Node rejects by itself, with a bare status and without a log line: requests that its
 * parser does not accept, that are not complete in time, or that expect or ask for something it does not support.
 */
export function respondToRejected(server: Server, listener: RequestListener, connections: Connections): void {
  const rejected = new WeakSet<Socket>(); // the parser reports each further chunk as well

  server.on('clientError', (error, stream) => {
    const socket = stream as Socket;
    if (rejected.has(socket)) return;
    rejected.add(socket);
    const rejection = toAppError(error);
    if (!rejection || socket.bytesRead === 0) return void socket.destroy();
    const pending = connections.lastPending(socket);
    if (!pending) return respond(socket, rejection);
    socket.pause(); // so that a client that sends more and reads nothing counts as inactive
    if (pending.req.complete) return void pending.once('finish', () => respond(socket, rejection));
    if (isCutOff(error)) return void socket.destroy(); // the caller has left
    pending.shouldKeepAlive = false;
    failBody(pending.req, rejection);
  });

  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    request.rejection = new AppError('invalid_request', { detail: 'Expect must be 100-continue' });
    server.emit('request', request, response);
  });

  server.on('connect', (request, stream) => {
    const socket = stream as Socket;
    if (connections.lastPending(socket)) return void socket.destroy(); // an earlier response still needs the connection
    const response = responseTo(request, socket).setHeader('Allow', ALLOWED_METHODS);
    request.rejection = new AppError('method_not_allowed');
    request.url = '/';
    listener(request, response);
  });

  function respond(socket: Socket, rejection: AppError): void {
    if (!socket.writable) return void socket.destroy();
    const request = Object.assign(new IncomingMessage(socket), { url: '/', method: '', rejection });
    listener(request, responseTo(request, socket));
  }
}

/** Whether the caller ended the connection in the middle of a request. */
function isCutOff({ code }: NodeJS.ErrnoException): boolean {
  return code === 'HPE_INVALID_EOF_STATE';
}

/** A response that is the last one of its connection. */
function responseTo(request: IncomingMessage, socket: Socket): ServerResponse<IncomingMessage> {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  response.once('finish', () => socket.destroySoon());
  socket.on('error', () => socket.destroy());
  return response;
}

/** Fails every read of the body, now or later. Without one, the response does not depend on it. */
function failBody(request: IncomingMessage, rejection: AppError): void {
  request.rejection = rejection;
  if (request.listenerCount('error') > 0) request.emit('error', rejection);
  request.on('newListener', (event) => {
    if (event === 'error') queueMicrotask(() => request.emit('error', rejection));
  });
}

/** Undefined if the client has left. */
function toAppError(error: Error): AppError | undefined {
  const { code = '' } = error as NodeJS.ErrnoException;
  if (code === 'HPE_HEADER_OVERFLOW') return new AppError('headers_too_large');
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new AppError('invalid_request', { detail: 'The request was not received in time.', reason: code });
  }
  if (!code.startsWith('HPE_')) return undefined;
  return new AppError('invalid_request', { detail: 'The request is not valid HTTP.', reason: code });
}
