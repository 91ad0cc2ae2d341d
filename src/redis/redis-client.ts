import { setMaxListeners } from 'node:events';
import type { RedisConfig, RedisTopology } from '../config/redis-url.ts';

type Library = typeof import('redis');

const CONNECT_TIMEOUT_MS = 1_000;
const MAX_QUEUE_LENGTH = 1_000;
/** A connection whose server disappeared without a word is closed after this time. */
const IDLE_TIMEOUT_MS = 10_000;

/**
 * A client of Redis, whatever its topology. It follows planned changes (a switch of the primary that a Sentinel announces, a
 * slot that moved), and does not outlive a failure: what has changed meanwhile is found by the next client.
 */
export interface RedisClient {
  /** Rejects if a primary cannot be reached. */
  connect(): Promise<void>;
  /** Sends one command, to the primary that has its key. Rejects before the client is connected. */
  send(command: string[]): Promise<unknown>;
  /** Closes all connections, also those that are being made. */
  destroy(): void;
}

interface Options {
  redis: RedisConfig;
  /** Called if the connection to a primary fails, perhaps several times. */
  onFailure: (error: Error) => void;
}

/** Creates a client that is not connected yet. Its library, half of all modules of a process, is loaded when it connects. */
export function createRedisClient(options: Options): RedisClient {
  const destruction = new AbortController(); // the library forgets a connection that is still being made
  const { signal } = destruction;
  setMaxListeners(0, signal); // one for each socket
  let client: RedisClient | undefined;
  return {
    connect: async () => {
      const library = await import('redis');
      if (signal.aborted) return;
      client = clientOf(options.redis.topology, { ...options, library, signal });
      await client.connect();
    },
    send: async (command) => {
      if (!client) throw new Error('not connected');
      return client.send(command);
    },
    destroy: () => {
      client?.destroy();
      destruction.abort();
    },
  };
}

interface ClientOptions extends Options {
  library: Library;
  /** Closes each socket. */
  signal: AbortSignal;
}

function clientOf(topology: RedisTopology, options: ClientOptions): RedisClient {
  if (topology.kind === 'sentinel') return sentinelClient(topology, options);
  if (topology.kind === 'cluster') return clusterClient(options);
  return serverClient(topology, options);
}

type TopologyOf<Kind> = Extract<RedisTopology, { kind: Kind }>;

function serverClient(topology: TopologyOf<'server'>, options: ClientOptions): RedisClient {
  const { library, redis, onFailure, signal } = options;
  const { socket, ...common } = optionsOf(redis, redis, signal);
  const client = library.createClient({
    ...common,
    database: topology.database,
    socket: { ...socket, ...redis.addresses[0] },
  });
  client.on('error', onFailure);
  return {
    connect: async () => void (await client.connect()),
    send: (command) => client.sendCommand(command),
    destroy: () => client.destroy(),
  };
}

function sentinelClient(topology: TopologyOf<'sentinel'>, options: ClientOptions): RedisClient {
  const { library, redis, onFailure, signal } = options;
  const client = library.createSentinel({
    name: topology.service,
    sentinelRootNodes: redis.addresses,
    nodeClientOptions: { ...optionsOf(redis, redis, signal), database: topology.database },
    sentinelClientOptions: optionsOf(redis, topology, signal),
    maxCommandRediscovers: 0,
    reserveClient: true, // otherwise some of several commands at once wait until no other one is sent
  });
  const reason = latestError(client);
  client.on('client-error', ({ type, error }: { type: string; error: Error }) => {
    if (type === 'MASTER') onFailure(error);
  });
  return {
    connect: async () => void (await client.connect().catch(reason)),
    send: (command) => client.sendCommand(false, command),
    destroy: () => void client.destroy().catch(() => undefined),
  };
}

function clusterClient({ library, redis, onFailure, signal }: ClientOptions): RedisClient {
  const client = library.createCluster({
    rootNodes: redis.addresses.map((socket) => ({ socket })),
    defaults: optionsOf(redis, redis, signal),
    minimizeConnections: true, // otherwise a primary that does not respond delays the discovery of its successor
  });
  const reason = latestError(client);
  client.on('node-error', onFailure);
  return {
    connect: async () => {
      await client.connect().catch(reason);
      if (!client.isOpen) return; // destroyed meanwhile
      await Promise.all(client.masters.map((node) => client.nodeClient(node)));
    },
    send: (command) => client.sendCommand(keyOf(command), false, command),
    destroy: () => client.destroy(),
  };
}

/** @param credentials of Redis, or of its Sentinels */
function optionsOf(
  { isEncrypted }: RedisConfig,
  credentials: Pick<RedisConfig, 'user' | 'password'>,
  signal: AbortSignal,
) {
  const { user, password } = credentials;
  return {
    ...(user === undefined ? {} : { username: user }),
    ...(password === undefined ? {} : { password }),
    disableOfflineQueue: true,
    commandsQueueMaxLength: MAX_QUEUE_LENGTH,
    pingInterval: IDLE_TIMEOUT_MS / 2,
    socket: {
      ...(isEncrypted ? { tls: true as const } : {}),
      reconnectStrategy: false as const,
      connectTimeout: CONNECT_TIMEOUT_MS,
      socketTimeout: IDLE_TIMEOUT_MS,
      signal,
    },
  };
}

/** Returns a function that throws the client's latest error, if there is one, instead of the summary that it rejects with. */
function latestError(client: { on(event: 'error', listener: (error: unknown) => void): unknown }) {
  let latest: Error | undefined;
  client.on('error', (error) => {
    if (error instanceof Error) latest = error;
  });
  return (summary: Error): never => {
    throw latest ?? summary;
  };
}

/** The key of a command, by which a cluster finds its primary. Undefined if it has none: it is then sent to every primary. */
function keyOf([name, ...args]: string[]): string | undefined {
  if (name === 'SCRIPT') return undefined;
  return name === 'EVAL' || name === 'EVALSHA' ? args[2] : args[0];
}
