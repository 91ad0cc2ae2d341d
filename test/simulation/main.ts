import { appendFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { writeSection } from '../support/documentation.ts';
import { simulateLong } from './long-run.ts';
import { openNaive } from './naive.ts';
import { asMarkdown, asText, type Comparison, failureDetails, figures } from './report.ts';
import { runSimulation } from './run.ts';
import type { RunSize } from './schedule.ts';
import { openService } from './service.ts';
import { runShard } from './shard.ts';
import { hasExpectedReason, isAvoidable, totalsOf } from './totals.ts';
import { MINUTE } from './virtual-time.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    connections: { type: 'string' },
    days: { type: 'string' },
    short: { type: 'boolean', default: false },
    markdown: { type: 'string' },
    long: { type: 'boolean', default: false },
    shard: { type: 'string' },
    shards: { type: 'string', default: '200' },
    processes: { type: 'string', default: '1' },
    state: { type: 'string', default: 'data/simulation.jsonl' },
    report: { type: 'boolean', default: false },
  },
});

if (values.shard) {
  const { details, totals, failures } = await runShard(Number(values.shard));
  process.stdout.write(`${JSON.stringify(totals, null, 2)}\n${details}\n`);
  process.exit(failures > 0 ? 1 : 0);
}
if (values.long) {
  const { markdown, state, report } = values;
  const options = { state, markdown, shards: report ? 0 : Number(values.shards), processes: Number(values.processes) };
  process.exit((await simulateLong(options)) ? 0 : 1);
}

const FULL = { connections: 70, days: 150, faultRate: 1, jobIntervalMs: 20 * MINUTE };
/** Long enough for unused refresh tokens to expire, with more faults per day. */
const SHORT = { connections: 36, days: 110, faultRate: 3, jobIntervalMs: 60 * MINUTE };
/** For comparing two runs with the same seed. */
const TINY = { connections: 24, days: 20, faultRate: 5, jobIntervalMs: 60 * MINUTE };

const defaults = values.short ? SHORT : FULL;
const size: RunSize = {
  ...defaults,
  seed: Number(values.seed),
  replicas: 3,
  connections: Number(values.connections ?? defaults.connections),
  days: Number(values.days ?? defaults.days),
};

const startedAt = performance.now();
const strict = await compare('Without a grace period', size, false);
// The grace period makes losses rare: in the full form, a quarter of the connections is enough.
const connections = Math.floor(size.connections / (values.short ? 1 : 4));
const lenient = await compare('With a grace period of a day', { ...size, connections }, true);
const comparisons = [strict, lenient];
const checks: [string, boolean][] = [
  ...comparisons.flatMap(({ title, service, naive }): [string, boolean][] => [
    [`${title}: this service has no avoidable loss`, !service.losses.some(isAvoidable)],
    [`${title}: it records the correct reason of every loss`, service.losses.every(hasExpectedReason)],
    [`${title}: it logs no error`, service.errors.length === 0],
    [`${title}: the naive implementation has avoidable losses`, naive.losses.some(isAvoidable)],
  ]),
  ['Connections recover after false rejections', comparisons.some(({ service }) => service.recoveries > 0)],
  ['The same seed produces the same figures', await isDeterministic()],
];
const seconds = Math.round((performance.now() - startedAt) / 1000);

if (values.markdown) await writeSection(values.markdown, 'Figures', asMarkdown(comparisons, seconds));
for (const comparison of comparisons) process.stdout.write(`${asText(comparison)}\n\n`);
for (const { service } of comparisons) process.stderr.write(failureDetails(service));
for (const [name, holds] of checks) process.stdout.write(`${holds ? 'passed' : 'FAILED'}  ${name}\n`);
const failed = checks.filter(([, holds]) => !holds).length;
const totals = `${checks.length - failed} passed, ${failed} failed, 0 skipped\n`;
process.stdout.write(`\nseed ${size.seed}, ${seconds} s\n${totals}`);
if (process.env['TEST_SUMMARY_FILE']) await appendFile(process.env['TEST_SUMMARY_FILE'], totals);
process.exit(failed > 0 ? 1 : 0);

async function compare(title: string, size: RunSize, hasGracePeriod: boolean): Promise<Comparison> {
  const service = await runSimulation(size, hasGracePeriod, openService);
  const naive = await runSimulation(size, hasGracePeriod, openNaive);
  return { title, size, service, naive };
}

async function isDeterministic(): Promise<boolean> {
  const run = async () =>
    JSON.stringify(figures(totalsOf(await runSimulation({ ...size, ...TINY }, false, openService))));
  const first = await run();
  return first === (await run());
}
