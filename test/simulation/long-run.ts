import { fork } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { withProgressBar } from '../../src/commands/progress-bar.ts';
import { writeSection } from '../support/documentation.ts';
import { asTable, figures } from './report.ts';
import { SHARD_SIZE, type ShardResult } from './shard.ts';
import { sumOf } from './totals.ts';

const SHARD_PROCESS = new URL('shard-process.ts', import.meta.url);

interface LongRunOptions {
  /** A file of JSON lines, one for each shard that is done. A run continues after the shards that it contains. */
  state: string;
  /** The document whose section on the long run is replaced. */
  markdown: string | undefined;
  /** Shards have the seeds from 1 to this; 0 only reports those that are done. */
  shards: number;
  processes: number;
}

/** Runs what is left of the long run, and reports all of it. Returns true if nothing was wrong. */
export async function simulateLong({ state, markdown, shards, processes }: LongRunOptions): Promise<boolean> {
  const results = await readResults(state);
  const done = new Set(results.map(({ seed }) => seed));
  const seeds = Array.from({ length: shards }, (_, index) => index + 1).filter((seed) => !done.has(seed));
  await mkdir(dirname(state), { recursive: true });
  await withProgressBar({ total: seeds.length, unit: 'shards' }, async (update) => {
    const record = async (result: ShardResult) => {
      await appendFile(state, `${JSON.stringify(result)}\n`);
      results.push(result);
      update(results.length - done.size);
      if (result.failures > 0)
        process.stderr.write(`\nnpm run simulate -- --shard ${result.seed}\n${result.details}\n`);
    };
    await Promise.all(Array.from({ length: Math.min(processes, seeds.length) }, () => runShards(seeds, record)));
  });
  const report = asReport(results);
  process.stdout.write(report);
  if (markdown) await writeSection(markdown, 'The long run', report);
  return results.every(({ failures }) => failures === 0);
}

/** Takes shards from the list until it is empty, in a process of its own. */
async function runShards(seeds: number[], record: (result: ShardResult) => Promise<void>): Promise<void> {
  const child = fork(SHARD_PROCESS, { execArgv: ['--import', 'tsx'] });
  const ended = once(child, 'exit').then(() => {
    throw new Error('a process of the simulation ended during its shard');
  });
  for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
    child.send(seed);
    const [result] = (await Promise.race([once(child, 'message'), ended])) as [ShardResult];
    await record(result);
  }
  child.disconnect();
}

/** Results of a shard of another size do not count. */
async function readResults(state: string): Promise<ShardResult[]> {
  const text = await readFile(state, 'utf8').catch(() => '');
  const results = text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as ShardResult);
  return results.filter(({ size }) => JSON.stringify(size) === JSON.stringify(SHARD_SIZE));
}

function asReport(results: ShardResult[]): string {
  const seeds = results.map(({ seed }) => seed).toSorted((a, b) => a - b);
  const [first = 0, last = 0] = [seeds.at(0), seeds.at(-1)];
  const listed = last - first + 1 === seeds.length ? `${first} to ${last}` : seeds.join(', ');
  const { connections, days, replicas } = SHARD_SIZE;
  const minutes = Math.round(results.reduce((sum, { seconds }) => sum + seconds, 0) / 60);
  const setting = `Shards with the seeds ${listed}; ${replicas} replicas, ${connections} connections and ${days} days each; Node ${process.version}, ${minutes} minutes.`;
  const columns = [false, true].map((withGrace) =>
    figures(sumOf(results.filter(({ hasGracePeriod }) => hasGracePeriod === withGrace).map(({ totals }) => totals))),
  );
  const all = figures(sumOf(results.map(({ totals }) => totals)));
  const others = columns.map((column) => new Map(column));
  const rows = all.map(([name, value]) => [name, value, ...others.map((other) => other.get(name) ?? '0')]);
  return `${setting}\n\n${asTable([['', 'all', 'without a grace period', 'with one of a day'], ...rows])}`;
}
