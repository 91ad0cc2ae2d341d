import { startIntuitSimulator } from '../../dev/intuit-simulator/simulator.ts';
import { INTUIT_LIMITS } from '../../dev/intuit-simulator/throttle.ts';
import { Lateness } from './lateness.ts';

// Intuit in a process of its own, so that nothing else delays the calls that it counts.

const lateness = new Lateness();
const { HOST = '127.0.0.1', PORT, COMPANIES = '{}', ACCESS_TOKEN_SECONDS } = process.env;
const { origin } = await startIntuitSimulator({
  host: HOST,
  port: Number(PORT),
  companies: JSON.parse(COMPANIES),
  accessTokenSeconds: Number(ACCESS_TOKEN_SECONDS),
  limits: INTUIT_LIMITS,
  keptCalls: 0,
  lateMs: () => lateness.ms,
});
// As the service logs it: the line by which `runServer` finds the port.
console.log(JSON.stringify({ address: { port: Number(new URL(origin).port) }, msg: 'listening' }));
process.once('SIGTERM', () => process.exit(0));
