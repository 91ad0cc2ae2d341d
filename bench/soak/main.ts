import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { writeSection } from '../../test/support/documentation.ts';
import type { ServiceProcess } from '../../test/support/processes.ts';
import { findServer, machine } from '../setting.ts';
import { Callers } from './callers.ts';
import { type SoakEnvironment, withSoakEnvironment } from './environment.ts';
import { asMarkdown, checks, type SoakResult } from './report.ts';
import { type Sample, takeSample } from './samples.ts';

process.setMaxListeners(20); // each child process is killed when this one exits

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    companies: { type: 'string', default: '50' },
    markdown: { type: 'string' },
  },
});
const minutes = Number(values.minutes);
const companies = Number(values.companies);
/** Calls per second to each company: a tenth more than 500 per minute. */
const RATE = 9.2;
const SAMPLE_MS = 10_000;
const MINUTE_MS = 60_000;
/** After the last call, connections that are kept open for the next one are closed within this time. */
const CLOSE_MS = 30_000;

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stopping.abort());

try {
  const { url, version } = await findServer();
  progress(`connecting ${companies} companies`);
  const result = await withSoakEnvironment(url, companies, run);
  const report = `${machine()}, ${version}.\n\n${asMarkdown(result)}`;
  process.stdout.write(`${report}\n`);
  if (values.markdown) await writeSection(values.markdown, 'Soak test: figures', report);
  process.exit(checks(result).every(([, isMet]) => isMet) ? 0 : 1);
} catch (error) {
  process.stderr.write(`${(error as Error).stack}\n`);
  process.exit(1);
}

async function run({ quickbooks, replicas, ports, logFiles, ...rest }: SoakEnvironment): Promise<SoakResult> {
  progress('waiting for a minute, so that no call made while connecting counts');
  await delay(MINUTE_MS, undefined, { signal: stopping.signal });
  const startedAt = performance.now();
  const elapsed = () => (performance.now() - startedAt) / 1000;
  const sample = async () => Promise.all(replicas.map((replica) => takeSample(replica, ports, elapsed())));
  const before = await totalsOf(quickbooks);
  const callers = new Callers({ ...rest, replicas, rate: RATE });
  const samples: Sample[][] = replicas.map(() => []);
  while (elapsed() < minutes * 60 && !stopping.signal.aborted) {
    await delay(SAMPLE_MS, undefined, { signal: stopping.signal }).catch(() => undefined);
    const taken = await sample();
    for (const [index, each] of taken.entries()) samples[index]?.push(each);
    const memory = taken.map(({ residentBytes }) => `${Math.round(residentBytes / 1e6)} MB`).join(', ');
    const rejections = (await totalsOf(quickbooks))['api 429'] ?? 0;
    const facts = `${callers.total} calls, 429 from QuickBooks ${rejections}, to callers ${callers.count('429')}`;
    progress(`${(elapsed() / 60).toFixed(1)} of ${minutes} min: ${facts}; ${memory}`);
  }
  const ranMinutes = elapsed() / 60;
  await callers.stop();
  const totals = await totalsOf(quickbooks);
  const metrics = await callers.metrics();
  await callers.close();
  await delay(CLOSE_MS);
  const sent = (name: string) => (totals[name] ?? 0) - (before[name] ?? 0);
  const warnings = await Promise.all(logFiles.map(countWarnings));
  return {
    companies,
    minutes: ranMinutes,
    outcomes: callers.outcomes,
    p50: callers.latencies.percentile(50) / 1000,
    p99: callers.latencies.percentile(99) / 1000,
    quickbooksCalls: Object.keys(totals).reduce((sum, name) => (name.startsWith('api ') ? sum + sent(name) : sum), 0),
    quickbooksRejections: sent('api 429'),
    refreshes: sent('token 200'),
    deferred: metrics['accounting_company_calls_deferred_total'] ?? 0,
    missedTurns: metrics['accounting_company_turns_missed_total'] ?? 0,
    warnings: warnings.reduce((sum, each) => sum + each, 0),
    samples,
    afterwards: (await sample()).map(({ sockets }) => sockets),
  };
}

/** How many responses the simulator has sent, by endpoint and status. */
async function totalsOf({ origin }: ServiceProcess): Promise<Record<string, number>> {
  return (await (await fetch(`${origin}/simulator/totals`)).json()) as Record<string, number>;
}

async function countWarnings(file: string): Promise<number> {
  let count = 0;
  for await (const line of createInterface({ input: createReadStream(file) }))
    if (/"level":[4-9]\d/.test(line)) count += 1;
  return count;
}

function progress(step: string): void {
  process.stderr.write(`${step}\n`);
}
