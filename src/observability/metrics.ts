import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** What operators see at `/metrics`. No organization or company is a label: there may be a million of them. */
export type Metrics = ReturnType<typeof createMetrics>;

/** How a call for new tokens ended. `superseded`: somebody else's change to the connection had won. */
export type RefreshOutcome = (typeof REFRESH_OUTCOMES)[number];

const REFRESH_OUTCOMES = [
  'success',
  'revoked',
  'rotation_lost',
  'provider_unavailable',
  'provider_error',
  'superseded',
] as const;
const CALLBACK_OUTCOMES = [
  'connected',
  'consent_refused',
  'invalid_state',
  'authorization_code_rejected',
  'company_mismatch',
  'provider_error',
  'provider_unavailable',
  'service_unavailable',
  'internal_error',
];
const STATUS_CLASSES = ['2xx', '4xx', '5xx', 'aborted'];

const HTTP_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20];
const REFRESH_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20];
const LEASE_WAIT_SECONDS = [0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20];

/** A registry of its own, so that several services can live in one process. */
export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  const gauge = (name: string, help: string) => new Gauge({ registers, name: `accounting_${name}`, help });
  const counter = <Label extends string>(name: string, help: string, ...labelNames: Label[]) =>
    new Counter({ registers, name: `accounting_${name}`, help, labelNames });

  const metrics = {
    contentType: registry.contentType,
    /** Everything, in Prometheus' text format. */
    text: () => registry.metrics(),
    /** Adds what Node tells of the process itself. Once in a process: it is watched until the process ends. */
    watchProcess: () => collectDefaultMetrics({ register: registry }),

    requestDuration: new Histogram({
      registers,
      name: 'http_request_duration_seconds',
      help: 'Requests by route pattern and status, until the answer has left.',
      labelNames: ['method', 'route', 'status'],
      buckets: HTTP_SECONDS,
    }),
    connects: counter(
      'connects_total',
      'Requests to connect that were let in: redirected, link_issued, or an error code.',
      'outcome',
    ),
    callbacks: counter(
      'callbacks_total',
      'Callbacks that were let in: connected, consent_refused, or an error code.',
      'outcome',
    ),
    gatewayRequests: counter(
      'gateway_requests_total',
      'Gateway requests that were let in, by the class of their status: 2xx to 5xx, or aborted before the end.',
      'status_class',
    ),

    refreshes: counter(
      'token_refreshes_total',
      'Calls to Intuit for new tokens; tries to recover a lost connection where they succeed.',
      'outcome',
    ),
    refreshDuration: new Histogram({
      registers,
      name: 'accounting_token_refresh_duration_seconds',
      help: 'From the call to Intuit until its answer is saved.',
      buckets: REFRESH_SECONDS,
    }),
    leaseWait: new Histogram({
      registers,
      name: 'accounting_token_refresh_lease_wait_seconds',
      help: 'Until this process had the right to refresh, or the tokens that another one fetched.',
      buckets: LEASE_WAIT_SECONDS,
    }),
    // Not `job`: Prometheus keeps that label for itself.
    workerRuns: counter('worker_runs_total', 'Rounds of the worker: ok or failed.', 'task', 'outcome'),

    connections: new Gauge({
      registers,
      name: 'accounting_connections',
      help: 'Connections that are active, and lost ones that nobody mended yet.',
      labelNames: ['state'],
    }),
    refreshFailing: gauge(
      'connections_refresh_failing',
      'Active connections whose renewal fails and that have no valid access token left.',
    ),
    soonestExpiry: gauge(
      'refresh_token_soonest_expiry_timestamp_seconds',
      'When the first refresh token of an active connection ends.',
    ),
    careOverdue: gauge('care_overdue_seconds', 'How long the most overdue connection has waited for the worker.'),
    revocationsWaiting: gauge('revocations_waiting', 'Grants that are still to be revoked.'),
    webhooksWaiting: gauge('webhooks_waiting', 'Organizations with events that are still to be posted.'),
    databaseUp: gauge('database_up', '1 while the database answers, else 0.'),
    poolConnections: new Gauge({
      registers,
      name: 'accounting_database_pool_connections',
      help: "This process's connections to the database: used or idle.",
      labelNames: ['state'],
    }),
    poolWaiting: gauge('database_pool_waiting', 'Queries of this process that wait for a connection.'),
  };
  // From nothing to one is no increase to Prometheus: the first loss must be seen as well.
  for (const outcome of REFRESH_OUTCOMES) metrics.refreshes.inc({ outcome }, 0);
  for (const outcome of CALLBACK_OUTCOMES) metrics.callbacks.inc({ outcome }, 0);
  for (const status_class of STATUS_CLASSES) metrics.gatewayRequests.inc({ status_class }, 0);
  return metrics;
}
