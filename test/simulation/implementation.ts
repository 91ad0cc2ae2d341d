import type { FaultInjector } from './fault-injector.ts';
import type { Provider } from './provider.ts';
import type { Random } from './random.ts';
import type { Recorder } from './recorder.ts';
import type { Replica } from './replica.ts';
import type { VirtualTime } from './virtual-time.ts';

/** What an implementation runs in. */
export interface Environment {
  time: VirtualTime;
  random: Random;
  faults: FaultInjector;
  provider: Provider;
  recorder: Recorder;
}

/** An organization's current connection, as it is stored. */
export interface StoredConnection {
  isActive: boolean;
  accessToken: string;
  refreshToken: string;
}

/** One way to keep connections: this service, or the naive one that it is compared with. */
export interface Implementation {
  startProcess(replica: Replica): Instance;
  /** Returns what is stored, even during an outage of the database. */
  read(organizationId: string): Promise<StoredConnection | undefined>;
  /** True if background jobs have something to do now. */
  hasDueJobs(): Promise<boolean>;
  /** A node of the database begins to lag: it keeps the rows of this instant. */
  beginLag(): Promise<void>;
  close(): Promise<void>;
}

/** One process of an implementation. Every operation rejects if it fails. */
export interface Instance {
  /** Calls the provider's API for a customer. */
  call(organizationId: string): Promise<void>;
  /** Completes a connection with the code of a callback. @param realmId the company that the browser claims */
  connect(organizationId: string, code: string, realmId?: string): Promise<void>;
  disconnect(organizationId: string): Promise<void>;
  /** Runs the background jobs once. */
  runJobs(): Promise<void>;
  /** Waits for unfinished work. */
  stop(): Promise<void>;
}
