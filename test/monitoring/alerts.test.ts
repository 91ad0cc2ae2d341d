import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { createSqlite } from '../support/databases.ts';
import { UNKNOWN_KEY } from '../support/encrypted-rows.ts';
import { environment } from '../support/environment.ts';
import { useHarness } from '../support/harness.ts';
import { scrape } from '../support/metrics.ts';
import { projectFile, runServer } from '../support/processes.ts';
import { PREFIX } from '../support/requests.ts';
import { closedPort } from '../support/tcp-relay.ts';

const RULES = resolve('deploy/monitoring/alerts.yml');
const NAMES: string[] = parse(readFileSync(RULES, 'utf8')).groups.flatMap(({ rules }: Group) =>
  rules.map(({ alert }) => alert),
);
const HALF_A_DAY = 720;
const REFRESHES = 'accounting_token_refreshes_total';

/** Values of one process by series, in promtool's notation, one per minute: `0x60`, `1+2x60`. */
type Series = Record<string, string>;

/** For each alert that a process with only the worker can cause: the series of its `/metrics`, and the minute of the alert. */
const OF_WORKER: [alert: string, minute: number, series: Series][] = [
  ['ReplicaDown', 15, { up: '0x20' }],
  ['ReplicaNotReady', 15, { accounting_ready: '0x20', accounting_database_up: '1x20' }],
  ['DatabaseDown', 5, { accounting_ready: '0x20', accounting_database_up: '0x20' }],
  ['NoReplicaReady', 5, { accounting_ready: '0x20', accounting_database_up: '1x20' }],
  [
    'ConnectionsLost',
    70,
    { 'accounting_connections{state="lost"}': '0x50 9x30', 'accounting_connections{state="active"}': '100x90' },
  ],
  ['RotationLost', 20, { [`${REFRESHES}{outcome="rotation_lost"}`]: '0x10 1x30' }],
  ['MultipleRotationsLost', 20, { [`${REFRESHES}{outcome="rotation_lost"}`]: '0x10 4x30' }],
  [
    'ClientCredentialsRejected',
    20,
    { [`${REFRESHES}{outcome="provider_error"}`]: '0+1x30', [`${REFRESHES}{outcome="success"}`]: '7x30' },
  ],
  [
    'IntuitUnavailable',
    40,
    { [`${REFRESHES}{outcome="provider_unavailable"}`]: '0+2x50', [`${REFRESHES}{outcome="success"}`]: '7x50' },
  ],
  ['DatabasePoolExhausted', 10, { accounting_database_pool_pending: '3x20', accounting_database_up: '1x20' }],
  ['EncryptionKeyWrong', 5, { accounting_encryption_key_valid: '0x10' }],
  ['RefreshTokenExpiresSoon', 90, { accounting_refresh_token_earliest_expiry_timestamp_seconds: `${6 * 86_400}x100` }],
  ['MaintenanceLagging', 45, { accounting_maintenance_lag_seconds: '0+60x60' }],
  ['RevocationsPending', HALF_A_DAY + 5, { accounting_pending_revocations: '1x800' }],
  ['WebhooksPending', 200, { accounting_pending_webhooks: '2x300' }],
  ['EventLoopLag', 15, { nodejs_eventloop_lag_p99_seconds: '0.5x20' }],
  ['MemoryHigh', 45, { process_resident_memory_bytes: '500000000x60' }],
  ['CompaniesThrottled', 70, { accounting_company_throttled_total: '0+1x80' }],
];

const STATUS = '/api/v1/oauth/quickbooks/status/:organization_id';
const REQUESTS = 'http_request_duration_seconds';

/** The same for those that only a process with the API can cause. */
const OF_SERVICE: typeof OF_WORKER = [
  ['ServiceDown', 5, { up: '0x10' }],
  [
    'GatewayErrors',
    30,
    {
      'accounting_gateway_requests_total{status_class="5xx"}': '0+2x40',
      'accounting_gateway_requests_total{status_class="2xx"}': '0+1x40',
    },
  ],
  [
    'CallbacksFailing',
    60,
    {
      'accounting_callbacks_total{outcome="provider_error"}': '0x10 6x60',
      'accounting_callbacks_total{outcome="connected"}': '3x70',
    },
  ],
  ['ServerErrors', 20, { [`${REQUESTS}_count{route="${STATUS}",status="503"}`]: '0+2x30' }],
  [
    'StatusSlow',
    30,
    {
      [`${REQUESTS}_count{route="${STATUS}",status="200"}`]: '0+60x40',
      [`${REQUESTS}_bucket{route="${STATUS}",status="200",le="0.5"}`]: '0+1x40',
      [`${REQUESTS}_bucket{route="${STATUS}",status="200",le="1"}`]: '0+60x40',
      [`${REQUESTS}_bucket{route="${STATUS}",status="200",le="+Inf"}`]: '0+60x40',
    },
  ],
];

const HEALTHY: Series = {
  up: '1x800',
  accounting_ready: '1x800',
  accounting_database_up: '1x800',
  'accounting_connections{state="lost"}': '3x800',
  'accounting_connections{state="active"}': '100x800',
  [`${REFRESHES}{outcome="rotation_lost"}`]: '0x800',
  [`${REFRESHES}{outcome="success"}`]: '0+1x800',
  accounting_database_pool_pending: '0x800',
  accounting_encryption_key_valid: '1x800',
  accounting_refresh_token_earliest_expiry_timestamp_seconds: `${30 * 86_400}x800`,
  accounting_maintenance_lag_seconds: '3x800',
  accounting_pending_revocations: '0x800',
  accounting_pending_webhooks: '0x800',
  nodejs_eventloop_lag_p99_seconds: '0.01x800',
  process_resident_memory_bytes: '150000000x800',
  // A caller that is always at Intuit's limits.
  'accounting_gateway_requests_total{status_class="2xx"}': '0+500x800',
  'accounting_gateway_requests_total{status_class="4xx"}': '0+100x800',
  accounting_company_calls_deferred_total: '0+500x800',
  accounting_company_calls_rejected_total: '0+100x800',
  accounting_company_throttled_total: '0x800',
};

const describeWithPromtool = process.env['HAS_PROMTOOL'] ? describe : describe.skip;

describeWithPromtool('the alert rules', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'alerts-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('are all tested', () => {
    expect([...OF_WORKER, ...OF_SERVICE].map(([alert]) => alert).sort()).toEqual([...NAMES].sort());
  });

  it.each(OF_WORKER)('raise %s for a standalone worker', (alert, minute, series) => {
    expectAlert({ worker: series, service: HEALTHY }, minute, alert, 1);
  });

  it.each([...OF_WORKER, ...OF_SERVICE])('raise %s for the service', (alert, minute, series) => {
    expectAlert({ service: series }, minute, alert, 1);
  });

  it('raise no alert while everything is well', () => {
    expectAlert({ service: HEALTHY, worker: HEALTHY }, 790, '.+', 0);
  });

  it('raise ServiceDown although a standalone worker runs', () => {
    expectAlert({ worker: HEALTHY }, 5, 'ServiceDown', 1);
  });

  it('raise NoReplicaReady only if no replica is ready', () => {
    const unready = { ...HEALTHY, accounting_ready: '0x800' };
    expectAlert({ service: unready, secondReplica: HEALTHY }, 15, 'NoReplicaReady', 0);
    expectAlert({ service: unready, secondReplica: HEALTHY }, 15, 'ReplicaNotReady', 1);
    expectAlert({ service: unready, secondReplica: unready, worker: HEALTHY }, 15, 'NoReplicaReady', 1);
  });

  it('raise one page if the database is down: DatabaseDown', () => {
    const down = { accounting_ready: '0x20', accounting_database_up: '0x20' };
    expectAlert({ service: down }, 5, 'DatabaseDown|NoReplicaReady', 1);
    expectAlert({ service: down }, 5, 'NoReplicaReady', 0);
  });

  it('raise no alert while all replicas stop at once and are replaced', () => {
    const replaced = { ...HEALTHY, accounting_ready: '1x10 _x6 1x20' };
    for (const minute of [12, 14, 16, 18]) expectAlert({ service: replaced, worker: replaced }, minute, '.+', 0);
  });

  /** @param count whether the alert fires at this minute: 1 or 0 */
  function expectAlert(
    series: Partial<Record<'service' | 'secondReplica' | 'worker', Series>>,
    minute: number,
    alert: string,
    count: 0 | 1,
  ) {
    const test = {
      interval: '1m',
      input_series: [
        ...labelled('accounting', series.service ?? {}),
        ...labelled('accounting', series.secondReplica ?? {}, 2),
        ...labelled('accounting-worker', series.worker ?? {}),
      ],
      promql_expr_test: [
        {
          expr: `count(ALERTS{alertname=~"${alert}",alertstate="firing"}) or vector(0)`,
          eval_time: `${minute}m`,
          exp_samples: [{ labels: '{}', value: count }],
        },
      ],
    };
    const file = join(folder, 'test.yml');
    writeFileSync(file, stringify({ rule_files: [RULES], evaluation_interval: '1m', tests: [test] }));
    const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', file], { encoding: 'utf8' });
    expect([stdout + stderr, status]).toEqual([expect.stringContaining('SUCCESS'), 0]);
  }
});

describe('the series that the alert rules read', () => {
  const harness = useHarness(createSqlite);

  it.each([
    ['a service', 'dist/src/server.js', [...OF_WORKER, ...OF_SERVICE]],
    ['a standalone worker', 'dist/src/worker.js', OF_WORKER],
  ])('exist in the metrics of %s with a wrong key, or without a database', async (_, script, alerts) => {
    await harness.connect('acme');
    const wrongKey = await scrapeProcess(script, { ENCRYPTION_KEY: UNKNOWN_KEY });
    expect(wrongKey).toMatchObject({
      accounting_ready: 0,
      accounting_encryption_key_valid: 0,
      accounting_database_up: 1,
    });
    const noDatabase = await scrapeProcess(script, {
      DATABASE_URL: `mysql://root@127.0.0.1:${await closedPort()}/none`,
    });
    expect(noDatabase).toMatchObject({ accounting_ready: 0, accounting_database_up: 0 });
    const exposed = [...Object.keys(wrongKey), ...Object.keys(noDatabase)].map(partsOf);
    const read = alerts.flatMap(([, , series]) => Object.keys(series)).filter((selector) => selector !== 'up');
    expect(read.filter((selector) => !exposed.some((sample) => isSelected(sample, partsOf(selector))))).toEqual([]);
  });

  /** Starts a process, requests a status, and returns its metrics. */
  async function scrapeProcess(script: string, env: Record<string, string>): Promise<Record<string, number>> {
    const { database, simulator } = harness;
    const variables = { ...environment(database.url, simulator), NODE_ENV: 'production', ...env };
    const server = await runServer(variables, { args: [projectFile(script)] });
    await fetch(`${server.origin}${PREFIX}/status/acme`);
    const metrics = await scrape(server);
    await server.kill('SIGTERM');
    return metrics;
  }
});

/** Splits a series into its name and its labels, each as `name="value"`. */
function partsOf(series: string): string[] {
  return series.match(/^\w+|\w+="[^"]*"/g) ?? [];
}

function isSelected(sample: string[], selector: string[]): boolean {
  return selector.every((part) => sample.includes(part));
}

/** The series with the labels that Prometheus adds to those of a job's process. */
function labelled(job: string, series: Series, nth = 1): { series: string; values: string }[] {
  return Object.entries(series).map(([selector, values]) => {
    const [, name = '', labels = ''] = /^(\w+)(?:\{(.*)\})?$/.exec(selector) ?? [];
    return { series: `${name}{${[`job="${job}",instance="${job}-${nth}"`, labels].filter(Boolean).join()}}`, values };
  });
}

type Group = { rules: { alert: string }[] };
