import type { Knex } from 'knex';
import {
  type IntuitSimulator,
  type IntuitSimulatorOptions,
  startIntuitSimulator,
} from '../../dev/intuit-simulator/simulator.ts';
import { migrateUp } from '../../src/db/migrations.ts';
import { openKnex } from '../../src/db/session.ts';
import type { OAuthTokenRow } from '../../src/db/tables.ts';
import { environment } from '../support/environment.ts';
import { createOnServer } from '../support/own-database.ts';
import { runServer, type ServiceProcess } from '../support/processes.ts';
import { type OwnServer, startOwnServer } from './own-server.ts';
import { type Relay, startRelay } from './relay.ts';

export interface StageOptions {
  /** PROVIDER_TIMEOUT_MS; 10 000 unless told, as in production. */
  timeoutMs?: number;
  intuit?: IntuitSimulatorOptions;
  /** On a database server that the fault may stop. */
  ownServer?: true;
}

export const REALM = '9341452000000001';
const PREFIX = '/api/v1/oauth/quickbooks';

/** Two processes of the service over one database, and an Intuit of their own. */
export class Stage {
  /** How much of the processes' output comes from faults before this one. */
  private told = [0, 0];

  private constructor(
    readonly simulator: IntuitSimulator,
    /** The way from the processes to Intuit's token endpoint. */
    readonly relay: Relay,
    readonly a: ServiceProcess,
    readonly b: ServiceProcess,
    readonly knex: Knex,
    readonly server: OwnServer | undefined,
  ) {}

  /** Sets a stage, plays on it, and takes it down, whatever happens. */
  static async with<T>(options: StageOptions, serverUrl: string, play: (stage: Stage) => Promise<T>): Promise<T> {
    const undo: (() => unknown)[] = [];
    try {
      const server = options.ownServer && (await startOwnServer(serverUrl));
      if (server) undo.push(() => server.close());
      const database = await createOnServer(server?.url ?? serverUrl);
      undo.push(database.drop);
      const knex = openKnex({ client: 'mysql', url: database.url });
      undo.push(() => knex.destroy());
      await migrateUp(knex);
      const simulator = await startIntuitSimulator(options.intuit);
      undo.push(() => simulator.close());
      const relay = await startRelay(simulator.origin);
      undo.push(() => relay.close());
      const env = {
        ...environment(database.url, simulator),
        NODE_ENV: 'production',
        LOG_LEVEL: 'info',
        PROVIDER_TIMEOUT_MS: String(options.timeoutMs ?? 10_000),
        QBO_TOKEN_URL: simulator.urls.tokenUrl.replace(simulator.origin, `http://127.0.0.1:${relay.port}`),
      };
      const start = async () => {
        const replica = await runServer(env);
        undo.push(() => replica.kill('SIGKILL'));
        return replica;
      };
      const [a, b] = await Promise.all([start(), start()]);
      undo.push(() => server?.start());
      return await play(new Stage(simulator, relay, a, b, knex, server));
    } finally {
      for (const step of undo.reverse()) await (async () => step())().catch(report);
    }
  }

  /** For the next fault: no connections, no faults, no calls. */
  async reset(): Promise<void> {
    await this.knex('oauth_tokens').delete();
    await this.relay.pass();
    this.simulator.clearFaults();
    this.simulator.resetCalls();
    this.told = [this.a, this.b].map(({ stdout }) => stdout().length);
  }

  /** Connects the organization to the company. */
  async connect(organization = 'org', realmId = REALM, replica = this.a): Promise<void> {
    const { path, cookie } = await this.consent(organization, realmId, replica);
    const { status } = await fetch(replica.origin + path, { headers: { cookie }, redirect: 'manual' });
    if (status !== 302) throw new Error(`not connected: the callback answered ${status}`);
  }

  /** A browser's way to the callback, and the cookie that it brings there. */
  async consent(organization = 'org', realmId = REALM, replica = this.a): Promise<{ path: string; cookie: string }> {
    const { headers } = await fetch(`${replica.origin}${PREFIX}/connect/${organization}`, { redirect: 'manual' });
    const callback = new URL(await this.simulator.authorize(headers.get('location') ?? '', { realmId }));
    return { path: `${callback.pathname}${callback.search}`, cookie: headers.get('set-cookie')?.split(';')[0] ?? '' };
  }

  /** Connects the organization, and lets its access token expire as far as the service knows. */
  async connectExpired(organization = 'org', realmId = REALM): Promise<void> {
    await this.connect(organization, realmId);
    await this.leave(-60, organization);
  }

  /** Leaves the access token this much time. */
  async leave(seconds: number, organization = 'org'): Promise<void> {
    const access_token_expires_at = new Date(Date.now() + seconds * 1000);
    const active = { organization_id: organization, is_active: 1 as const };
    await this.knex('oauth_tokens').where(active).update({ access_token_expires_at });
  }

  /** The organization's newest row. */
  async row(organization = 'org'): Promise<OAuthTokenRow> {
    const rows = this.knex('oauth_tokens').where({ organization_id: organization });
    const row = await rows.orderBy('created_at', 'desc').first();
    if (!row) throw new Error(`${organization} has no row`);
    return row;
  }

  async status(organization = 'org'): Promise<{ connected: boolean; reason: string | null }> {
    const answer = await fetch(`${this.b.origin}${PREFIX}/status/${organization}`);
    return (await answer.json()) as { connected: boolean; reason: string | null };
  }

  async disconnect(organization = 'org'): Promise<number> {
    return (await fetch(`${this.b.origin}${PREFIX}/disconnect/${organization}`, { method: 'POST' })).status;
  }

  /** How often the refresh token was used so far. */
  get tokenCalls(): number {
    return this.simulator.callsTo('token', 'refresh_token').length;
  }

  /** How often a refresh failed so far, whether or not it reached Intuit. */
  get failedRefreshes(): number {
    return this.logged('refresh failed');
  }

  /** Faults of the service's own, which no fault from outside may lead to. */
  get internalErrors(): number {
    return this.logged('internal error');
  }

  private logged(message: string): number {
    const lines = [this.a, this.b].flatMap(({ stdout }, index) => stdout().slice(this.told[index]).split('\n'));
    return lines.filter((line) => line.includes(`"msg":"${message}"`)).length;
  }
}

/** What could not be taken down is told, and the rest is taken down all the same. */
function report(error: unknown): void {
  process.stderr.write(`${error}\n`);
}
