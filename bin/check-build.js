// Ends with one line, instead of a stack trace, if there is no build to run.
import { existsSync } from 'node:fs';

if (!existsSync(new URL('../dist/src/server.js', import.meta.url))) {
  process.stderr.write('There is no build: run `npm run build` first.\n');
  process.exit(1);
}
