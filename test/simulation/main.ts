import { appendFile, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { document } from './document.ts';
import { openNaive } from './naive.ts';
import { openOurs } from './ours.ts';
import type { Size } from './script.ts';
import { asText, avoidable, type Comparison, figures, historyOf, namedRightly, unavoidable } from './table.ts';
import { MINUTE } from './virtual-time.ts';
import { play } from './world.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    connections: { type: 'string' },
    days: { type: 'string' },
    short: { type: 'boolean', default: false },
    markdown: { type: 'string' },
  },
});

const FULL = { connections: 70, days: 150, trouble: 1, workerMs: 20 * MINUTE };
/** Long enough for refresh tokens that nobody uses to end, and with more trouble a day. */
const SHORT = { connections: 36, days: 110, trouble: 3, workerMs: 60 * MINUTE };
/** For the comparison of two runs. */
const TINY = { connections: 24, days: 20, trouble: 5, workerMs: 60 * MINUTE };

const usual = values.short ? SHORT : FULL;
const size: Size = {
  ...usual,
  seed: Number(values.seed),
  replicas: 3,
  connections: Number(values.connections ?? usual.connections),
  days: Number(values.days ?? usual.days),
};

const began = performance.now();
const strict = await compare('Without grace for a replaced token', size, false);
// With grace the worst is over: a quarter of the connections shows it.
const lenient = await compare(
  'With a day of grace for a replaced token',
  { ...size, connections: Math.floor(size.connections / (values.short ? 1 : 4)) },
  true,
);
const comparisons = [strict, lenient];
const checks: [string, boolean][] = [
  ...comparisons.flatMap(({ title, ours, naive }): [string, boolean][] => [
    [`${title}: this service loses nothing that could have been kept`, avoidable(ours).length === 0],
    [`${title}: it names every other loss rightly`, namedRightly(ours).length === unavoidable(ours).length],
    [`${title}: it logs no error`, ours.errors.length === 0],
    [`${title}: the naive handler loses some`, avoidable(naive).length > 0],
  ]),
  ['What was refused falsely is taken up again', comparisons.some(({ ours }) => ours.recoveries > 0)],
  ['The same seed gives the same figures', await isDeterministic()],
];
const seconds = Math.round((performance.now() - began) / 1000);

if (values.markdown) await writeFile(values.markdown, document(comparisons, seconds));
for (const comparison of comparisons) process.stdout.write(`${asText(comparison)}\n\n`);
for (const { ours } of comparisons) process.stderr.write(historyOf(ours));
for (const [name, isTrue] of checks) process.stdout.write(`${isTrue ? 'ok     ' : 'FAILED '} ${name}\n`);
const failed = checks.filter(([, isTrue]) => !isTrue).length;
const summary = `${checks.length - failed} passed, ${failed} failed, 0 skipped\n`;
process.stdout.write(`\nseed ${size.seed}, in ${seconds} s\n${summary}`);
if (process.env['TEST_SUMMARY_FILE']) await appendFile(process.env['TEST_SUMMARY_FILE'], summary);
process.exit(failed > 0 ? 1 : 0);

async function compare(title: string, size: Size, hasGrace: boolean): Promise<Comparison> {
  const ours = await play(size, hasGrace, openOurs);
  const naive = await play(size, hasGrace, openNaive);
  return { title, size, ours, naive };
}

async function isDeterministic(): Promise<boolean> {
  const once = async () => JSON.stringify(figures(await play({ ...size, ...TINY }, false, openOurs)));
  const first = await once();
  return first === (await once());
}
