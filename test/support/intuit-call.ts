import { loadConfig } from '../../src/config/config.ts';
import { Egress } from '../../src/egress/egress.ts';
import { IntuitHttp } from '../../src/strategies/quickbooks/intuit-http.ts';
import { systemClock } from '../../src/utils/clock.ts';

// A process that calls a URL as a refresh does, and prints when it is asked whether it may send, and how the call ended.
// Arguments: the URL, and whether it may send. A process of its own, because Node reads NODE_EXTRA_CA_CERTS at its start.
const [url = '', maySend] = process.argv.slice(2);
const egress = new Egress(loadConfig({ ...process.env, NODE_ENV: 'test' }).egress, systemClock);
const http = new IntuitHttp({ timeoutMs: 20_000, egress, clock: systemClock });
const isAsked = () => {
  process.stdout.write('asked\n');
  return maySend === 'true';
};
const outcome = await http
  .send({ url, method: 'POST', headers: {}, body: 'a=1', maySend: isAsked })
  .catch((error) => error.details);
process.stdout.write(`${JSON.stringify(outcome)}\n`);
