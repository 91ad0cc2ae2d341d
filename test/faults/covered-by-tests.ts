/** A fault that a test of its own covers, in one process and with a clock that it moves. */
export interface CoveredFault {
  fault: string;
  file: string;
  title: string;
}

/** What the scenarios do not repeat. `test/covered-faults.test.ts` checks that each test exists. */
export const COVERED_BY_TESTS: CoveredFault[] = [
  {
    fault: 'the timeout ends while a response waits in its socket',
    file: 'test/strategies/quickbooks/intuit-http.test.ts',
    title: 'reads a response that is already there when the process wakes up after the timeout',
  },
  {
    fault: 'a token expires while its caller waits for the refresh',
    file: 'test/services/token-manager.test.ts',
    title: 'waits for the refresh of a token that expires while its caller waits',
  },
  {
    fault: 'companyinfo rejects the new token, whatever the reason: nothing is revoked',
    file: 'test/flow/callback-provider-errors.test.ts',
    title: 'returns 400 company_mismatch, and neither stores nor revokes, if companyinfo %s',
  },
  {
    fault: 'companyinfo names a company that the grant is not for',
    file: 'test/flow/callback-provider-errors.test.ts',
    title: 'leaves the existing connection unchanged after a company mismatch',
  },
  {
    fault: 'companyinfo proves nothing at connect: the company is unproven',
    file: 'test/flow/callback-provider-errors.test.ts',
    title: 'connects unproven and without a company name if companyinfo does not respond',
  },
  {
    fault: 'an unproven company is denied later',
    file: 'test/jobs/maintenance-job.test.ts',
    title: 'ends an unproven connection if Intuit denies it the company, without a revocation',
  },
  {
    fault: 'an unproven company keeps no revocation from being done',
    file: 'test/services/grant-revoker.test.ts',
    title: 'is revoked although an unproven connection claims its company',
  },
  {
    fault: 'an unproven connection is disconnected, whose grant is for another organization’s company',
    file: 'test/flow/unproven-connections.test.ts',
    title: 'revokes nothing if its grant is for a company that another organization uses',
  },
  {
    fault: 'an old revocation is retried while its organization connects the company again, unproven',
    file: 'test/flow/unproven-connections.test.ts',
    title: 'is not revoked while the organization’s new connection to the company is unproven, nor afterwards',
  },
  {
    fault: 'the database is unavailable when a rejection is to be recorded',
    file: 'test/services/token-refresher.test.ts',
    title: 'attributes a rejection to the user although it could not be recorded at first',
  },
  {
    fault: 'the database is unavailable after a code was exchanged',
    file: 'test/flow/kept-grants.test.ts',
    title: 'delays the connection: it is completed once the database is available, and the user is informed',
  },
  {
    fault: 'the process ends before a new grant could be stored',
    file: 'test/flow/kept-grants.test.ts',
    title: 'ends with a revocation if the process ends first, and the user is informed',
  },
  {
    fault: 'the process ends after a new grant was stored, before its company was verified',
    file: 'test/flow/kept-grants.test.ts',
    title: 'leaves a stored grant to the worker if the process ends before its company was verified',
  },
  {
    fault: 'a lifetime is missing, zero or negative',
    file: 'test/services/token-refresher.test.ts',
    title: 'assumes a lifetime of 100 days if a response contains none, and marks it as assumed',
  },
  {
    fault: 'the same in the response to the exchange of a code',
    file: 'test/strategies/quickbooks/quickbooks-strategy.test.ts',
    title: 'assumes 100 days for a refresh token whose lifetime is %s',
  },
  {
    fault: 'an assumed lifetime is over',
    file: 'test/services/token-refresher.test.ts',
    title: 'sends a refresh token whose assumed lifetime is over: Intuit decides',
  },
  {
    fault: 'strangers claim the company of a pending revocation',
    file: 'test/services/grant-revoker.test.ts',
    title: 'is not deferred by a callback that only claims its company',
  },
  {
    fault: 'a company is connected again and again while a revocation is pending',
    file: 'test/datastores/pending-revocation-datastore.test.ts',
    title: 'defers the recent revocations of one company, but none to an earlier time',
  },
  {
    fault: 'no worker runs for longer than a revocation is retried',
    file: 'test/services/grant-revoker.test.ts',
    title: 'is still attempted if no worker ran for 8 days',
  },
  {
    fault: "one organization's faulty company",
    file: 'test/jobs/worker.test.ts',
    title: 'maintains the healthy connections at once although Intuit, for 8 unproven ones, %s',
  },
  {
    fault: 'another company is connected while a request is retried',
    file: 'test/flow/gateway-company-changes.test.ts',
    title: 'a gateway request whose token is rejected is not repeated for a company that was connected meanwhile',
  },
  {
    fault: 'a grant ends inside QuickBooks, and nothing calls',
    file: 'test/jobs/maintenance-job.test.ts',
    title: 'reports within a day that a grant ended inside QuickBooks',
  },
  {
    fault: 'a company is renamed',
    file: 'test/jobs/maintenance-job.test.ts',
    title: 'refreshes a connection that Intuit has not accepted for a day, and reads its company’s name again',
  },
  {
    fault: 'a company is renamed whose connection is used, and so never idle',
    file: 'test/jobs/maintenance-job.test.ts',
    title: 'reads the company’s name once a week if the connection is refreshed by its callers',
  },
  {
    fault: 'the five-year limit comes near',
    file: 'test/jobs/maintenance-job.test.ts',
    title: 'is notified 30 and 7 days before it, once each, and ends the connection',
  },
  {
    fault: 'the five-year limit moves by seconds with each refresh',
    file: 'test/models/maintenance.test.ts',
    title: 'needs no notice a second time if a refresh moves the end of its authorization by seconds',
  },
  {
    fault: 'a planned failover of the database',
    file: 'test/db/mysql-client.test.ts',
    title: 'loses no statement in a planned failover, and uses no connection to the previous primary again',
  },
  {
    fault: 'a primary was demoted, and only reads reach it',
    file: 'test/db/mysql-client.test.ts',
    title: 'uses a connection for 35 s at most, since a previous primary does not reject reads',
  },
  {
    fault: 'a primary was demoted, and lacks the connection to disconnect',
    file: 'test/datastores/oauth-token-datastore.test.ts',
    title: 'rejects a disconnect that finds no connection: a demoted primary may lack it',
  },
  {
    fault: 'a transaction cannot be begun, committed or rolled back',
    file: 'test/db/mysql-client.test.ts',
    title: 'closes a connection whose %s failed',
  },
  {
    fault: 'a node is not ready or shuts down',
    file: 'test/db/mysql-client.test.ts',
    title: 'closes the connections to a node that reports error %i',
  },
  {
    fault: 'a failover of Redis, announced and silent',
    file: 'test/redis/redis-connection.test.ts',
    title: 'is made anew to the new primary if the previous one has become read-only',
  },
  {
    fault: 'a failover of Redis by Sentinels or in a cluster',
    file: 'test/redis/redis-client.test.ts',
    title: 'is made anew to the replica that replaced a killed primary',
  },
  {
    fault: 'an egress proxy is slow, rejects tunnels or breaks them',
    file: 'test/flow/egress.test.ts',
    title: 'keeps a connection that cannot be refreshed: the proxy responds with %s',
  },
  {
    fault: 'the process wakes up late while a proxy opens the connection to Intuit',
    file: 'test/egress-process.test.ts',
    title: 'a refresh is decided on after the TLS handshake through the proxy, before any byte is sent',
  },
  {
    fault: 'unusual errors of the database',
    file: 'test/db/mysql-client.test.ts',
    title: 'reports error %i as service_unavailable, after one try',
  },
  {
    fault: 'unusual errors while connecting to the database',
    file: 'test/db/mysql-client.test.ts',
    title: 'reports any error while connecting, such as %i, as service_unavailable',
  },
  {
    fault: 'a replica whose clock is wrong',
    file: 'test/datastores/refresh-datastore.test.ts',
    title: 'measures a back-off by the database’s clock, not by the process’s',
  },
  {
    fault: 'a replica whose clock is 120 days ahead or behind: expiry',
    file: 'test/db/wrong-clock.test.ts',
    title: 'sends a refresh token that has expired by one of two clocks only (%s)',
  },
  {
    fault: 'a replica whose clock is 120 days ahead or behind: maintenance',
    file: 'test/db/wrong-clock.test.ts',
    title: 'maintains only what is due (%s)',
  },
  {
    fault: 'the clock is set back after Intuit rejected the service (`invalid_client`)',
    file: 'test/services/refresh-cooldown.test.ts',
    title: 'is not affected by an adjustment of the wall clock',
  },
  {
    fault: "the database nodes' clocks differ, or are wrong",
    file: 'test/services/token-refresher-races.test.ts',
    title:
      'does not announce a takeover before it has seen the lease for the lease time, whatever instants the row has',
  },
  {
    fault: 'a node of the database lags',
    file: 'test/db/session-settings.test.ts',
    title:
      'sends values apart from the statement, waits for locks less long than for statements, and reads causally only for decisions',
  },
  {
    fault: 'the database accepts no writes',
    file: 'test/db/server-settings.test.ts',
    title: 'is reported as read-only while it is, and used again at once',
  },
  {
    fault: 'the database rejects the password',
    file: 'test/db/server-settings.test.ts',
    title: 'is reported as denied if it rejects the password',
  },
  {
    fault: 'writes to the database do not end, reads do',
    file: 'test/services/token-refresher-races.test.ts',
    title: 'takes over a lease that it saw unchanged for the lease time, after an announcement and a pause',
  },
  {
    fault: 'writes that wait occupy every connection for writes',
    file: 'test/db/mysql-client.test.ts',
    title: 'reads while every connection for writes waits',
  },
  {
    fault: 'statements that were given up occupy the server',
    file: 'test/db/abandoned-statements.test.ts',
    title: 'keep the pool from opening more connections while ten are still executed',
  },
  {
    fault: 'the database can store no more',
    file: 'test/observability/health.test.ts',
    title: 'reports a database that is %s',
  },
  {
    fault: 'the write that acquires the lease fails, although it took effect',
    file: 'test/services/token-refresher-races.test.ts',
    title: 'releases a lease whose acquiring write failed although it took effect',
  },
  {
    fault: 'another process takes over before a response is saved',
    file: 'test/services/token-refresher-races.test.ts',
    title: 'save a response that arrives after another one marked the connection as lost',
  },
  {
    fault: 'a failover loses what was not replicated',
    file: 'test/services/failover-restorer.test.ts',
    title: 'writes its responses back before any other refreshes',
  },
  {
    fault: 'a user disconnects a new connection that a failover has lost, before it is stored again',
    file: 'test/services/new-connection-restorer.test.ts',
    title: 'cannot be disconnected through another process while it is missing: the user is asked to try again',
  },
  {
    fault: 'a revocation is due while a failover has lost the connection that uses its company',
    file: 'test/services/new-connection-restorer.test.ts',
    title: 'is not ended by an old revocation that another process finds while it is missing',
  },
  {
    fault: 'a failover loses a new connection',
    file: 'test/services/new-connection-restorer.test.ts',
    title: 'is stored again, with its event, its count and the outcome of its callback',
  },
  {
    fault:
      'a process is paused between Intuit’s response to companyinfo and the connection, while its user connects another company',
    file: 'test/services/grant-receiver.test.ts',
    title: 'does not replace the connection that was made while its process was paused',
  },
  {
    fault: 'a process is paused while it exchanges a code, while its user connects another company or disconnects',
    file: 'test/services/grant-receiver.test.ts',
    title: 'does not undo what its user did while its process was paused, before it had the response to the code: %s',
  },
  {
    fault: 'a failover loses a grant that is being completed',
    file: 'test/services/grant-receiver.test.ts',
    title: 'is stored again if a failover of the database has lost it',
  },
  {
    fault: 'a user disconnects while a grant is being completed',
    file: 'test/services/grant-receiver.test.ts',
    title: 'is ended by a disconnect (connection: %s)',
  },
  {
    fault: 'a new connection is proven while the revocation of its organization’s old grant is decided',
    file: 'test/flow/unproven-connections.test.ts',
    title: 'is not revoked if the new connection is proven while the revocation is decided',
  },
  {
    fault:
      'a disconnect during a refresh, and a database that then rejects writes, while another organization uses the company',
    file: 'test/flow/refresh-concurrent-changes.test.ts',
    title:
      'a disconnect revokes nothing before the revocation is recorded, since another organization may use the company',
  },
  {
    fault: 'an organization disconnects while another waits for the confirmation of the same company',
    file: 'test/flow/confirmation.test.ts',
    title: 'keeps its company from being revoked by another organization while it waits',
  },
  {
    fault: 'a failover loses a response that had revived a lost connection',
    file: 'test/services/failover-restorer.test.ts',
    title: 'writes a response back that had revived a lost connection',
  },
  {
    fault: 'a user disconnects a connection whose newest response a failover has lost',
    file: 'test/services/failover-restorer.test.ts',
    title: 'has the newest token revoked of a connection that was disconnected with an older one',
  },
  {
    fault: 'a user disconnects the connection before a new one that a failover has lost',
    file: 'test/services/new-connection-restorer.test.ts',
    title: 'does not come back if the connection before it was disconnected since, by %s process',
  },
  {
    fault: 'an organization is erased while another process refreshes its connection',
    file: 'test/services/organization-eraser.test.ts',
    title: 'leaves no grant that another process refreshes meanwhile',
  },
  {
    fault: 'a grant becomes a connection while keys are rotated',
    file: 'test/services/key-rotation.test.ts',
    title: 'misses no tokens if %s, after the table was read that they are then in',
  },
  {
    fault: 'two workers recover one lost connection',
    file: 'test/services/token-refresher-races.test.ts',
    title: 'recover a lost connection by one token call',
  },
  {
    fault: 'migrations start in two processes at once, on one server',
    file: 'test/db/migrations.test.ts',
    title: 'run once if two processes start at once',
  },
];
