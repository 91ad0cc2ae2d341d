import type { Conditions } from './conditions.ts';
import type { Ledger } from './ledger.ts';
import type { Provider } from './provider.ts';
import type { Random } from './random.ts';
import type { Replica } from './replica.ts';
import type { VirtualTime } from './virtual-time.ts';

/** What a handler is run in. */
export interface Surroundings {
  time: VirtualTime;
  random: Random;
  conditions: Conditions;
  provider: Provider;
  ledger: Ledger;
}

/** An organization's current connection, as it is stored. */
export interface Stored {
  isActive: boolean;
  accessToken: string;
  refreshToken: string;
}

/** One way to keep connections: ours, or the one that it is compared with. */
export interface Handler {
  /** A process of it. */
  start(replica: Replica): Instance;
  /** What is stored just now, whatever the database's outages. */
  read(organizationId: string): Promise<Stored | undefined>;
  close(): Promise<void>;
}

/** What one process does. Everything fails by throwing. */
export interface Instance {
  /** A customer's request to the provider's API. */
  call(organizationId: string): Promise<void>;
  /** The callback that brings a code. */
  connect(organizationId: string, realmId: string, code: string): Promise<void>;
  disconnect(organizationId: string): Promise<void>;
  /** One round of what is done though nobody asks. */
  work(): Promise<void>;
  /** Finishes what it is at. */
  stop(): Promise<void>;
}
