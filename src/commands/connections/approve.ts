import { CommandError } from '../command-error.ts';
import { confirm } from '../confirm.ts';

/** @throws CommandError unless the user agrees to what cannot be undone, now or by `--yes` */
export async function approve(what: string, { yes }: { yes?: true }): Promise<void> {
  if (yes) return;
  const confirmed = await confirm(what);
  if (confirmed === undefined) throw new CommandError(`${what} To do it without a terminal, add --yes.`);
  if (!confirmed) throw new CommandError('Nothing was changed.');
}
