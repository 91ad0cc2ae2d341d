import { once } from 'node:events';
import type { AddressInfo, Server as NetServer } from 'node:net';
import mysql, { type Connection } from 'mysql2';

/** What the fake server returns for a statement: an error's number, or nothing for success. */
export type Respond = (sql: string, connection: number) => number | undefined;

/** A server that speaks MySQL's protocol and fails as a test requires. It stores nothing. */
export interface FakeServer {
  url: string;
  /** The statements that were received, each with the number of its connection, from 1. */
  statements: { sql: string; connection: number }[];
  respond: Respond;
  /** An error's number for new connections. */
  rejectConnections: number | undefined;
  close(): Promise<void>;
}

const HANDSHAKE = {
  protocolVersion: 10,
  serverVersion: '8.4.0-fake',
  statusFlags: 2,
  characterSet: 45,
  capabilityFlags: 0x00_0f_a2_0f,
};

/** Starts a fake server on a free port. */
export async function startFakeServer(): Promise<FakeServer> {
  const open = new Set<Connection>();
  let connections = 0;
  const server = mysql.createServer((connection) => {
    connections += 1;
    const number = connections;
    const resetSequence = () => (connection as unknown as Internals)._resetSequenceId(); // before each statement
    open.add(connection);
    connection.on('error', () => undefined);
    connection.on('quit', () => connection.end());
    connection.serverHandshake({
      ...HANDSHAKE,
      connectionId: number,
      authCallback: (_sent: unknown, done: (error: null, problem?: { code: number; message: string }) => void) => {
        const code = fake.rejectConnections;
        done(null, code === undefined ? undefined : { code, message: 'no' });
        resetSequence();
      },
    });
    const onStatement = (sql: string) => {
      fake.statements.push({ sql, connection: number });
      const code = fake.respond(sql, number);
      if (code !== undefined) connection.writeError({ code, message: 'canary' } as never);
      else if (/^(SELECT|SHOW)/i.test(sql)) connection.writeTextResult([], [COLUMN]);
      else connection.writeOk({ affectedRows: 1 });
      resetSequence();
    };
    connection.on('query', onStatement);
    connection.on('stmt_prepare', onStatement); // as which mysql2 reports SET
  });
  server.listen(0);
  const listener = (server as unknown as { _server: NetServer })._server;
  await once(listener, 'listening');
  const fake: FakeServer = {
    url: `mysql://root@127.0.0.1:${(listener.address() as AddressInfo).port}/fake`,
    statements: [],
    respond: () => undefined,
    rejectConnections: undefined,
    close: async () => {
      for (const connection of open) (connection as unknown as Internals).stream.destroy();
      listener.close();
      await once(listener, 'close');
    },
  };
  return fake;
}

/** What mysql2's types do not declare. */
interface Internals {
  stream: { destroy(): void };
  _resetSequenceId(): void;
}

const COLUMN = {
  catalog: 'def',
  schema: '',
  table: '',
  orgTable: '',
  name: 'value',
  orgName: 'value',
  characterSet: 45,
  columnLength: 255,
  columnType: 253,
  flags: 0,
  decimals: 0,
};
