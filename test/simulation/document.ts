import { asMarkdown, type Comparison } from './table.ts';

/** `docs/simulation.md`. */
export function document(comparisons: Comparison[], seconds: number): string {
  const [first] = comparisons;
  if (!first) throw new Error('nothing was compared');
  const { connections, days, replicas, seed } = first.size;
  return `# Connections over months, simulated

Written by \`npm run simulate -- --seed ${seed} --connections ${connections} --days ${days} --markdown docs/simulation.md\` on Node ${process.version}, in ${seconds} s.
\`npm run simulate -- --short\` is the form that runs with every change. The same seed gives the same figures.

The service's own token manager, worker, OAuth service and datastores run on one SQLite database in simulated time, as
${replicas} replicas with clocks up to five minutes apart, for ${connections} connections (${comparisons.at(-1)?.size.connections} of them where there is grace) over ${days} days. The provider is
simulated at its worst: a refresh token is replaced about once a day, the old value is worth nothing from that moment, its use
ends the whole grant, and a revocation ends all grants of a company. A naive handler meets the same script of events: it
refreshes where it finds the token expired, without a lock, takes any failure for the connection's end, saves without
a second try, and has no worker.

What happens, at instants that the seed chooses:

- **The provider** refuses connections, answers 503 (once for a week), hangs, is slow, loses answers, or answers \`invalid_grant\`
  to good tokens for up to 18 hours.
- **Processes** crash: at any time, just before the call, and between the provider's rotation and the save. They are deployed
  one after the other, every few days.
- **The database** is away for seconds to an hour, for all replicas or for one alone, most often just after a rotation; now and
  then it does what it is asked and the answer is lost.
- **Customers** ask six times a day, daily, every ten days, twice a year or never, often several requests at once. They
  disconnect, reconnect, revoke inside QuickBooks, and connect again days after a loss. One grant in twelve reaches its
  five-year end.

Whether a loss could have been kept is judged by the provider's own truth, not by what the handler thinks. A loss could not be
avoided if the grant was revoked or at its end, or if the newest refresh token was with nobody: its answer never arrived, or who
had it ended, or was cut off from the database for longer than a lease, before it could save it. Any other loss could have been
kept: the grant was alive and its newest token was stored, or was with a process that could have stored it. The simulation fails
if this service has one such loss, or gives a wrong reason for one of the others.

${comparisons.map(asMarkdown).join('\n')}`;
}
