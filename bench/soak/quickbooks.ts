import { constants, setPriority } from 'node:os';
import { startIntuitSimulator } from '../../dev/intuit-simulator/simulator.ts';
import { INTUIT_LIMITS } from '../../dev/intuit-simulator/throttle.ts';

// Intuit in a process of its own, so that nothing else delays the calls that it counts.

/** So short that each connection is refreshed every few minutes. */
const ACCESS_TOKEN_SECONDS = 600;

try {
  setPriority(constants.priority.PRIORITY_HIGHEST); // a call is counted when it arrives, whatever else the machine does
} catch {
  process.stderr.write('without the permission to have a higher priority, calls are counted late on a busy machine\n');
}

const { HOST = '127.0.0.1', PORT, COMPANIES = '{}' } = process.env;
const { origin } = await startIntuitSimulator({
  host: HOST,
  port: Number(PORT),
  companies: JSON.parse(COMPANIES),
  accessTokenSeconds: ACCESS_TOKEN_SECONDS,
  limits: INTUIT_LIMITS,
  keptCalls: 0,
});
// As the service logs it: the line by which `runServer` finds the port.
console.log(JSON.stringify({ address: { port: Number(new URL(origin).port) }, msg: 'listening' }));
process.once('SIGTERM', () => process.exit(0));
