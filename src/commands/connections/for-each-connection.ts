import type { Connection } from '../../models/connection.ts';
import type { ConnectionFilter } from '../../models/connection-list.ts';
import { toConnectionFault } from '../../services/connection-fault.ts';
import { FailedCompanies } from '../../services/failed-companies.ts';
import type { Clock } from '../../utils/clock.ts';
import { withProgressBar } from '../progress-bar.ts';
import type { OperatorServices } from './resources.ts';

/** As the worker's jobs: a few calls to the provider per second. */
const PAUSE_MS = 300;

/**
 * How the work on one connection ended, as in the worker's jobs.
 * - `done`: the provider was called.
 * - `skipped`: it was not called.
 * - `provider_down`: it failed, for this company at least.
 */
export type WorkOutcome = 'done' | 'skipped' | 'provider_down';

interface Services extends Pick<OperatorServices, 'connectionList' | 'interrupted'> {
  clock: Pick<Clock, 'sleep'>;
}

/**
 * Works on the listed connections, one after the other, at a rate that does not burden the provider. Stops early if the
 * user interrupts it or the provider is down. Returns how many there were, on how many it worked, and which of these it
 * could not work on, with their faults.
 */
export async function forEachConnection(
  { connectionList, clock, interrupted }: Services,
  filter: ConnectionFilter & { system: string },
  work: (connection: Connection) => Promise<WorkOutcome>,
): Promise<{ total: number; done: number; faulty: string[] }> {
  let total = 0;
  for await (const _ of connectionList.listAll(filter)) total += 1;
  const faulty: string[] = [];
  const workUnlessFaulty = async (connection: Connection): Promise<WorkOutcome> => {
    try {
      return await work(connection);
    } catch (error) {
      faulty.push(`${connection.organizationId} (${toConnectionFault(error)})`);
      return 'skipped';
    }
  };
  return withProgressBar({ total, unit: 'connections' }, async (update) => {
    const failedCompanies = new FailedCompanies();
    let done = 0;
    let outcome: WorkOutcome = 'skipped';
    for await (const connection of connectionList.listAll(filter)) {
      if (outcome !== 'skipped') await clock.sleep(PAUSE_MS, interrupted);
      if (interrupted.aborted || failedCompanies.isProviderDown()) return { total, done, faulty };
      outcome = await workUnlessFaulty(connection);
      if (outcome === 'provider_down') failedCompanies.add(connection.realmId);
      else if (outcome === 'done') failedCompanies.clear();
      done += 1;
      update(done);
    }
    return { total: done, done, faulty };
  });
}
