import type { OrganizationId } from '../../models/connection.ts';
import type { Erasure } from '../../services/organization-eraser.ts';
import { CommandError } from '../command-error.ts';
import { approve } from './approve.ts';
import { organizationArgument, verb } from './arguments.ts';
import { plural, printLine } from './output.ts';
import { withServices } from './resources.ts';

const FAILURES: Record<Exclude<Erasure['kind'], 'erased' | 'unknown_system'>, string> = {
  revocation_pending:
    'is disconnected, but nothing was deleted: a grant could not be revoked yet, or another organization is connecting its company, and its ciphertext would remain. The worker retries it; run this again later.',
  connected_again: 'was not erased: it is connected again each time. Prevent that, and run this again.',
};

interface Options {
  yes?: true;
  unrevoked?: true;
}

/** `erase`: deletes everything about one organization. */
export function eraseCommand() {
  return verb('erase', "Revokes an organization's grants, then deletes every row and event of it, in all systems.")
    .addArgument(organizationArgument())
    .option('--yes', 'does not ask')
    .option(
      '--unrevoked',
      'also deletes grants for systems that this version does not have, which are not revoked then',
    )
    .addHelpText(
      'after',
      '\nNothing is deleted before all grants are revoked. Log lines are not deleted, and no webhook reports the erasure.',
    )
    .action((organization: OrganizationId, options: Options) =>
      withServices({ readsCompanies: false }, async ({ eraser }) => {
        await approve(`This disconnects ${organization} and deletes every row and event of it.`, options);
        const erasure = await eraser.erase(organization, { leavesUnrevoked: options.unrevoked === true });
        if (erasure.kind !== 'erased') throw new CommandError(`${organization} ${describeFailure(erasure)}`);
        const { connections, events } = erasure;
        printLine(`Erased ${organization}: ${plural(connections, 'connection')}, ${plural(events, 'event')}.`);
      }),
    );
}

function describeFailure(erasure: Exclude<Erasure, { kind: 'erased' }>): string {
  if (erasure.kind !== 'unknown_system') return FAILURES[erasure.kind];
  const systems = erasure.systems.join(', ');
  return `was not erased: this version cannot revoke its grants for ${systems}. Run this with a version that has ${systems}, or add --unrevoked to delete them without revoking them.`;
}
