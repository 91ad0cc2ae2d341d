import type { OrganizationId } from '../../models/connection.ts';
import { CommandError } from '../command-error.ts';
import { approve } from './approve.ts';
import { organizationArgument, verb } from './arguments.ts';
import { plural, printLine } from './output.ts';
import { withServices } from './resources.ts';

const FAILURES = {
  revocation_pending:
    'is disconnected, but nothing was deleted: a grant could not be revoked yet, and its ciphertext would remain. The worker retries it; run this again later.',
  connected_again: 'was not erased: it is connected again each time. Prevent that, and run this again.',
};

/** `erase`: deletes everything about one organization. */
export function eraseCommand() {
  return verb('erase', "Revokes an organization's grants, then deletes every row and event of it, in all systems.")
    .addArgument(organizationArgument())
    .option('--yes', 'does not ask')
    .addHelpText(
      'after',
      '\nNothing is deleted before all grants are revoked. Log lines are not deleted, and no webhook reports the erasure.',
    )
    .action((organization: OrganizationId, options: { yes?: true }) =>
      withServices({ readsCompanies: false }, async ({ eraser }) => {
        await approve(`This disconnects ${organization} and deletes every row and event of it.`, options);
        const erasure = await eraser.erase(organization);
        if (erasure.kind !== 'erased') throw new CommandError(`${organization} ${FAILURES[erasure.kind]}`);
        const { connections, events } = erasure;
        printLine(`Erased ${organization}: ${plural(connections, 'connection')}, ${plural(events, 'event')}.`);
      }),
    );
}
