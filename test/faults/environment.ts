import type { Knex } from 'knex';
import type { IntuitSimulator } from '../../dev/intuit-simulator/simulator.ts';
import type { OAuthTokenRow } from '../../src/db/tables.ts';
import type { OrganizationId } from '../../src/models/connection.ts';
import type { ServiceProcess } from '../support/processes.ts';
import type { TcpRelay } from '../support/tcp-relay.ts';
import { until } from '../support/until.ts';
import type { DatabaseServer } from './database-server.ts';
import { countByStatus } from './measurements.ts';
import { Traffic, type TrafficOptions } from './traffic.ts';

interface Parts {
  simulator: IntuitSimulator;
  relay: TcpRelay;
  replicas: [ServiceProcess, ServiceProcess];
  knex: Knex;
  databaseServer: DatabaseServer | undefined;
}

export const REALM = '9341452000000001';
const PREFIX = '/api/v1/oauth/quickbooks';
/** Logged at level error because an operator must act: Intuit rejects the service's own credentials, or the disk is full. */
const OPERATOR_ERROR = /"event":"token\.refresh\.service_rejected"|"event":"readiness\.changed","database":"full"/;

/** Two replicas of the service, their database, and an Intuit simulator. */
export class TestEnvironment {
  readonly simulator: IntuitSimulator;
  /** Between the replicas and Intuit's token endpoint. */
  readonly relay: TcpRelay;
  readonly replicas: [ServiceProcess, ServiceProcess];
  readonly knex: Knex;
  readonly databaseServer: DatabaseServer | undefined;
  /** The length of each replica's log when the scenario started. */
  private logOffsets = [0, 0];
  private traffic: Traffic[] = [];

  constructor({ simulator, relay, replicas, knex, databaseServer }: Parts) {
    this.simulator = simulator;
    this.relay = relay;
    this.replicas = replicas;
    this.knex = knex;
    this.databaseServer = databaseServer;
  }

  /** Prepares a scenario: no connections, no faults, no traffic. */
  async reset(): Promise<void> {
    await this.stopTraffic();
    await this.knex('oauth_tokens').delete();
    await this.relay.pass();
    this.simulator.clearFaults();
    this.simulator.resetCalls();
    this.logOffsets = this.replicas.map(({ stdout }) => stdout().length);
  }

  startTraffic(options: TrafficOptions): Traffic {
    const traffic = new Traffic(options);
    this.traffic.push(traffic);
    return traffic;
  }

  async stopTraffic(): Promise<void> {
    for (const traffic of this.traffic.splice(0)) await traffic.stop();
  }

  /** Connects an organization to a company. */
  async connect({ organization = 'org', realmId = REALM, replica = this.replicas[0] } = {}): Promise<void> {
    const { path, cookie } = await this.consent({ organization, realmId, replica });
    const { status } = await fetch(replica.origin + path, { headers: { cookie }, redirect: 'manual' });
    if (status !== 302) throw new Error(`the callback returned ${status}`);
  }

  /** A browser's way to the callback. Returns the callback's path and the browser's cookie. */
  async consent({ organization = 'org', realmId = REALM, replica = this.replicas[0] } = {}) {
    const { headers } = await fetch(`${replica.origin}${PREFIX}/connect/${organization}`, { redirect: 'manual' });
    const callback = new URL(await this.simulator.authorize(headers.get('location') ?? '', { realmId }));
    return { path: `${callback.pathname}${callback.search}`, cookie: headers.get('set-cookie')?.split(';')[0] ?? '' };
  }

  /** Connects an organization whose access token has then expired by the service's own record. */
  async connectExpired({ organization = 'org', realmId = REALM } = {}): Promise<void> {
    await this.connect({ organization, realmId });
    await this.setTimeLeft(-60, organization);
  }

  /** Sets how long the access token is valid by the service's own record. Intuit still accepts it. */
  async setTimeLeft(seconds: number, organization = 'org'): Promise<void> {
    const access_token_expires_at = new Date(Date.now() + seconds * 1000);
    await this.rows(organization).where({ is_active: 1 }).update({ access_token_expires_at });
  }

  /** The organization's newest row. */
  async row(organization = 'org'): Promise<OAuthTokenRow> {
    const row = await this.rows(organization).orderBy('created_at', 'desc').first();
    if (!row) throw new Error(`${organization} has no row`);
    return row;
  }

  async status(organization = 'org'): Promise<{ connected: boolean; reason: string | null }> {
    const response = await fetch(`${this.replicas[1].origin}${PREFIX}/status/${organization}`);
    return (await response.json()) as { connected: boolean; reason: string | null };
  }

  async disconnect(organization = 'org'): Promise<number> {
    const url = `${this.replicas[1].origin}${PREFIX}/disconnect/${organization}`;
    return (await fetch(url, { method: 'POST' })).status;
  }

  /** How often a refresh token reached Intuit. */
  get tokenCalls(): number {
    return this.simulator.callsTo('token', 'refresh_token').length;
  }

  async untilTokenCalls(count: number): Promise<void> {
    await until(() => this.tokenCalls >= count);
  }

  /** How often a refresh failed, whether or not it reached Intuit. */
  get failedRefreshes(): number {
    return this.logLines().filter((line) => line.includes('"msg":"token.refresh.failed"')).length;
  }

  /** Errors of the service itself, which no external fault may cause. */
  get internalErrors(): string[] {
    return this.logLines().filter((line) => line.includes('"level":50,') && !OPERATOR_ERROR.test(line));
  }

  /** The state of a run that did not finish. */
  summary(): string {
    const results = this.traffic.flatMap((traffic) => traffic.results);
    return `${countByStatus(results)}; token calls: ${this.tokenCalls}`;
  }

  private rows(organization: string) {
    return this.knex('oauth_tokens').where({ organization_id: organization as OrganizationId });
  }

  /** The lines that the replicas have logged in this scenario. */
  private logLines(): string[] {
    return this.replicas.flatMap(({ stdout }, index) => stdout().slice(this.logOffsets[index]).split('\n'));
  }
}
