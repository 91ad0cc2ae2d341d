import { loadDatabaseConfig, readEnvironment } from '../../config/config.ts';
import { recountConnections } from '../../datastores/connection-counts.ts';
import { openKnex } from '../../db/session.ts';
import { verb } from './arguments.ts';
import { printLine } from './output.ts';

/** `recount`: corrects the totals that the metrics report. */
export function recountCommand() {
  return verb(
    'recount',
    'Corrects the totals of active and lost connections, which are wrong after rows were edited by hand.',
  )
    .addHelpText('after', '\nConnects, losses and disconnects wait meanwhile: with a million rows for some seconds.')
    .action(async () => {
      const knex = openKnex(loadDatabaseConfig(readEnvironment())); // counting may take longer than a session permits
      try {
        const { before, after } = await recountConnections(knex);
        const { active, lost } = after;
        const isSame = active === before.active && lost === before.lost;
        const previously = isSame ? 'as before' : `before: ${before.active} active, ${before.lost} lost`;
        printLine(`${active} active and ${lost} lost connections (${previously}).`);
      } finally {
        await knex.destroy();
      }
    });
}
