import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** What operators see at `/metrics`. No organization or company is a label: there may be a million of them. */
export type Metrics = ReturnType<typeof createMetrics>;

/** How a call for new tokens ended. `superseded`: another change to the connection took precedence. `not_sent`: it would have been too late. */
export type RefreshMetric = (typeof REFRESH_OUTCOMES)[number];

const REFRESH_OUTCOMES = [
  'success',
  'revoked',
  'rotation_lost',
  'provider_unavailable',
  'provider_error',
  'superseded',
  'not_sent',
] as const;
const CALLBACK_OUTCOMES = [
  'connected',
  'pending',
  'repeated',
  'consent_refused',
  'invalid_state',
  'authorization_code_rejected',
  'company_mismatch',
  'unauthorized',
  'provider_error',
  'provider_unavailable',
  'service_unavailable',
  'internal_error',
];
const STATUS_CLASSES = ['2xx', '4xx', '5xx', 'aborted'];

const HTTP_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20];
const REFRESH_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20];
const LEASE_WAIT_SECONDS = [0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20];

/** Creates the metrics in a registry of their own, so that several services can run in one process. */
export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  const gauge = (name: string, help: string) => new Gauge({ registers, name: `accounting_${name}`, help });
  const counter = <Label extends string>(name: string, help: string, ...labelNames: Label[]) =>
    new Counter({ registers, name: `accounting_${name}`, help, labelNames });

  const metrics = {
    contentType: registry.contentType,
    /** Returns everything in Prometheus' text format. */
    text: () => registry.metrics(),
    /** Adds Node's own metrics. Call it once per process. */
    watchProcess: () => collectDefaultMetrics({ register: registry }),

    requestDuration: new Histogram({
      registers,
      name: 'http_request_duration_seconds',
      help: 'Requests by route pattern and status, until the response was sent.',
      labelNames: ['method', 'route', 'status'],
      buckets: HTTP_SECONDS,
    }),
    connects: counter(
      'connects_total',
      'Authorized connect requests: redirected, link_issued, or an error code.',
      'outcome',
    ),
    callbacks: counter(
      'callbacks_total',
      'Callbacks: connected, pending (its confirmation), consent_refused, repeated (the same browser again), or an error code.',
      'outcome',
    ),
    gatewayRequests: counter(
      'gateway_requests_total',
      'Authorized gateway requests by the class of their status: 2xx to 5xx, or aborted before the end.',
      'status_class',
    ),

    clientDisconnects: counter(
      'client_disconnects_total',
      'Clients that were disconnected: too_many_connections, too_many_pipelined, or stalled (does not read).',
      'reason',
    ),

    companyCallsWaiting: gauge(
      'company_calls_waiting',
      "Gateway calls that wait for the limits of their company, Intuit's.",
    ),
    companyCallsDeferred: counter(
      'company_calls_deferred_total',
      'Gateway calls that waited for the limits of their company.',
    ),
    companyCallsRejected: counter(
      'company_calls_rejected_total',
      'Gateway calls rejected by the limits of their company, or after a 429 from QuickBooks.',
    ),
    companyThrottled: counter(
      'company_throttled_total',
      'Responses 429 of QuickBooks, although calls are kept below its limits.',
    ),
    companyTurnsMissed: counter(
      'company_turns_missed_total',
      'Gateway calls that were not sent within their turn by the limits of their company, and got another one.',
    ),

    refreshes: counter(
      'token_refreshes_total',
      'Refreshes by outcome, including successful recoveries of lost connections.',
      'outcome',
    ),
    refreshDuration: new Histogram({
      registers,
      name: 'accounting_token_refresh_duration_seconds',
      help: 'Time from the call to Intuit until its response is saved.',
      buckets: REFRESH_SECONDS,
    }),
    leaseWait: new Histogram({
      registers,
      name: 'accounting_token_refresh_lease_wait_seconds',
      help: 'Time until this process acquired the lease, or received the tokens that another process fetched.',
      buckets: LEASE_WAIT_SECONDS,
    }),
    // Not `job`, which is a label of Prometheus' own.
    workerRuns: counter('worker_runs_total', 'Runs of the worker by job and outcome: ok or failed.', 'task', 'outcome'),

    connections: new Gauge({
      registers,
      name: 'accounting_connections',
      help: 'Active connections, and lost ones that were not restored.',
      labelNames: ['state'],
    }),
    refreshFailing: gauge(
      'connections_refresh_failing',
      'Active connections whose refresh fails and that have no valid access token left.',
    ),
    earliestRefreshTokenExpiry: gauge(
      'refresh_token_earliest_expiry_timestamp_seconds',
      'When the first refresh token of an active connection expires.',
    ),
    maintenanceLag: gauge(
      'maintenance_lag_seconds',
      'How long the connection that is due longest has waited for the worker.',
    ),
    pendingRevocations: gauge('pending_revocations', 'Grants that are to be revoked.'),
    pendingWebhooks: gauge('pending_webhooks', 'Organizations with events that are to be delivered.'),
    encryptionKeyValid: gauge(
      'encryption_key_valid',
      '0 if ENCRYPTION_KEY cannot decrypt the stored tokens, otherwise 1.',
    ),
    ready: gauge('ready', '1 if /readyz returns 200, otherwise 0. Absent while the process is stopping.'),
    databaseUp: gauge('database_up', '1 if the database responds, otherwise 0.'),
    poolConnections: new Gauge({
      registers,
      name: 'accounting_database_pool_connections',
      help: "This process's connections to the database: used or idle.",
      labelNames: ['state'],
    }),
    poolPending: gauge('database_pool_pending', 'Queries of this process that wait for a connection.'),
  };
  // Prometheus sees no increase when a counter appears with the value 1, and would miss the first loss.
  for (const outcome of REFRESH_OUTCOMES) metrics.refreshes.inc({ outcome }, 0);
  metrics.encryptionKeyValid.set(1);
  for (const outcome of CALLBACK_OUTCOMES) metrics.callbacks.inc({ outcome }, 0);
  for (const status_class of STATUS_CLASSES) metrics.gatewayRequests.inc({ status_class }, 0);
  return metrics;
}
