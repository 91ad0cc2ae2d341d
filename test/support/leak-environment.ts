import type { JWTPayload } from 'jose';
import type { Knex } from 'knex';
import { type IntuitSimulator, startIntuitSimulator } from '../../dev/intuit-simulator/simulator.ts';
import { loadConfig } from '../../src/config/config.ts';
import { Fernet } from '../../src/crypto/fernet.ts';
import { migrateUp } from '../../src/db/migrations.ts';
import { openKnex } from '../../src/db/session.ts';
import { Canaries } from './canaries.ts';
import { bearer, KEYS, LIMITED_KEY, WITH_LIMITED_KEY } from './credentials.ts';
import type { CreateDatabase } from './databases.ts';
import { environment } from './environment.ts';
import { type KeySet, startKeySet } from './key-set.ts';
import { type OtlpReceiver, startOtlpReceiver } from './otlp-receiver.ts';
import type { TestDatabase } from './own-database.ts';
import { projectFile, runServer } from './processes.ts';
import { connectRaw, statusesOf } from './raw-client.ts';
import { PREFIX } from './requests.ts';
import { type Sent, send } from './send.ts';
import { closedPort, startTcpRelay, type TcpRelay } from './tcp-relay.ts';

/** Part of the simulator's error texts. */
export const INTUIT_TEXT = 'canary-text-of-intuit';

/** The built service at level trace, with every secret that it knows as a canary, and every response recorded. */
export class LeakEnvironment {
  readonly canaries = new Canaries();
  readonly responses: string[] = [];
  readonly statuses = new Set<number>();
  readonly realmIds = new Set<string>();
  knex!: Knex;
  keySet!: KeySet;
  /** The way to the database, which can be interrupted. */
  relay!: TcpRelay;
  simulator!: IntuitSimulator;
  /** Receives the traces. */
  collector!: OtlpReceiver;
  service!: Awaited<ReturnType<typeof runServer>>;
  private database!: TestDatabase;

  async open(createDatabase: CreateDatabase): Promise<void> {
    const secrets = {
      ENCRYPTION_KEY: Fernet.generateKey(),
      OAUTH_STATE_SECRET: 'canary-state-secret-0123456789-0123456789',
      REDIS_URL: `redis://default:canary-redis-password@127.0.0.1:${await closedPort()}`,
      EVENTS_WEBHOOK_SECRET: `whsec_${Buffer.from('canary-webhook-secret-0123456789').toString('base64')}`,
    };
    const clientSecret = 'canary-client-secret-0123456789';
    const all = { ...secrets, ...KEYS, LIMITED_KEY, INTUIT_TEXT, clientSecret, redis: 'canary-redis-password' };
    for (const [name, secret] of Object.entries(all)) this.canaries.add(name, secret);
    this.database = await createDatabase();
    this.simulator = await startIntuitSimulator({ clientSecret });
    this.keySet = await startKeySet();
    this.collector = await startOtlpReceiver();
    this.relay = await startTcpRelay(this.database.url);
    this.knex = openKnex(loadConfig(environment(this.database.url, this.simulator)).database);
    await migrateUp(this.knex);
    const limits = {
      LOG_LEVEL: 'trace',
      PROVIDER_TIMEOUT_MS: '1000',
      GATEWAY_TIMEOUT_MS: '1000',
      RATE_LIMIT_PER_MINUTE: '300',
    };
    const own = {
      ...WITH_LIMITED_KEY,
      ...this.keySet.env,
      ...secrets,
      ...limits,
      NODE_ENV: 'production',
      CONNECT_CONFIRMATION: 'true',
      OTEL_EXPORTER_OTLP_ENDPOINT: this.collector.url,
      EVENTS_WEBHOOK_URL: `http://127.0.0.1:${await closedPort()}/events`,
    };
    this.service = await runServer(
      { ...environment(this.relay.url, this.simulator), ...own },
      { args: ['--import', projectFile('dist/src/tracing/register.js'), projectFile('dist/src/server.js')] },
    );
  }

  async close(): Promise<void> {
    this.service?.kill('SIGKILL');
    await this.knex?.destroy();
    await Promise.all([this.simulator?.close(), this.keySet?.close(), this.collector?.close(), this.relay?.close()]);
    await this.database?.drop();
  }

  /** Every line that the process printed. */
  lines(): string[] {
    return `${this.service.stdout()}${this.service.stderr()}`.trimEnd().split('\n');
  }

  /** Sends a request and records the response. */
  async request(
    path: string,
    method = 'GET',
    headers: Record<string, string> = bearer(KEYS.billing),
    body?: string,
  ): Promise<Sent> {
    const truncated = { status: 0, headers: {}, body: '' }; // as Intuit's own response was
    const response = await send(this.service.origin, path, {
      method,
      headers,
      ...(body === undefined ? {} : { body }),
    }).catch(() => truncated);
    this.statuses.add(response.status);
    this.responses.push(this.withoutFlow(response));
    return response;
  }

  /** Sends bytes that need not be a request, and records what is received until the connection is closed. */
  async requestRaw(text: string): Promise<void> {
    const client = await connectRaw(this.service.origin);
    client.send(text);
    const received = await client.closed();
    for (const status of statusesOf(received)) this.statuses.add(status);
    this.responses.push(received);
  }

  /** Requests connect and consents. Returns the callback, whose state, code and cookie are now canaries. */
  async consent(
    organization: string,
    realmId: string,
    headers = bearer(KEYS.billing) as Record<string, string>,
    query = '',
  ) {
    const { headers: started } = await this.request(`${PREFIX}/connect/${organization}${query}`, 'GET', headers);
    const url = new URL(await this.simulator.authorize(String(started['location']), { realmId }));
    const cookie = String(started['set-cookie']).split(';')[0] ?? '';
    this.realmIds.add(realmId);
    this.canaries.add('cookie', cookie.split('=')[1]);
    this.canaries.add('state', url.searchParams.get('state') ?? '');
    this.canaries.add('code', url.searchParams.get('code') ?? '');
    return { path: url.pathname + url.search, headers: { Cookie: cookie } };
  }

  /** Runs the whole flow of one browser. Returns the callback's response. */
  async connect(organization: string, realmId: string): Promise<Sent> {
    const response = await this.complete(organization, await this.consent(organization, realmId));
    this.canaries.addFrom(this.simulator, this.realmIds);
    return response;
  }

  /** Sends the callback, and confirms the connection with the code that it returns, which is now a canary. */
  async complete(organization: string, flow: { path: string; headers: { Cookie: string } }): Promise<Sent> {
    const response = await this.request(flow.path, 'GET', flow.headers);
    const confirmation = confirmationOf(response);
    if (confirmation === undefined) return response;
    this.canaries.add('confirmation', confirmation);
    this.canaries.add('signature of a confirmation', confirmation.split('.')[1]);
    const path = `${PREFIX}/confirm/${organization}`;
    await this.request(path, 'POST', bearer(KEYS.billing), JSON.stringify({ confirmation: `${confirmation}x` }));
    for (let time = 0; time < 2; time += 1)
      await this.request(path, 'POST', bearer(KEYS.billing), JSON.stringify({ confirmation })); // the second is rejected
    return response;
  }

  /** Returns the header with a user's JWT, which is now a canary. */
  async user(claims: JWTPayload = {}): Promise<Record<string, string>> {
    const token = await this.keySet.sign(claims);
    this.canaries.add('JWT', token);
    this.canaries.add('signature', token.split('.')[2]);
    return bearer(token);
  }

  /** A response without what it must contain: a link, the state and the cookie of a flow, or a confirmation. */
  private withoutFlow({ status, headers, body }: Sent): string {
    const { location, 'set-cookie': cookie, ...others } = headers;
    const startsFlow = String(location).startsWith(this.simulator.urls.authorizeUrl);
    const hasSecret = startsFlow || status === 201 || confirmationOf({ headers }) !== undefined;
    return JSON.stringify(hasSecret ? others : [headers, body]);
  }
}

function confirmationOf({ headers: { location } }: Pick<Sent, 'headers'>): string | undefined {
  return /[?&]confirmation=([^&]+)/.exec(String(location))?.[1];
}
