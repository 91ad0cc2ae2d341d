import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import { simulateLong } from './long-run.ts';
import { SHARD_SIZE, type ShardResult } from './shard.ts';

const DOCUMENT = '# Simulation\n\n## The long run\n\nold\n\n## Figures\n\nkept\n';

function shard(seed: number, changes: Partial<ShardResult> = {}): ShardResult {
  const totals = { connectionDays: 4_000, losses: 2, 'lost: five-year limit': 2 };
  return { seed, hasGracePeriod: false, size: SHARD_SIZE, seconds: 60, totals, failures: 0, details: '', ...changes };
}

/** Runs none of the shards: all that are asked for are in the state file. */
async function resume(...done: ShardResult[]): Promise<{ isCorrect: boolean; document: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'simulation-'));
  const [state, markdown] = [join(folder, 'state.jsonl'), join(folder, 'simulation.md')];
  await writeFile(state, done.map((result) => `${JSON.stringify(result)}\n`).join(''));
  await writeFile(markdown, DOCUMENT);
  const isCorrect = await simulateLong({ state, markdown, shards: 2, processes: 1 });
  return { isCorrect, document: await readFile(markdown, 'utf8') };
}

beforeEach(() => {
  jest.spyOn(process.stdout, 'write').mockReturnValue(true);
});

afterEach(() => {
  jest.restoreAllMocks();
});

it('continues the long run after the shards that are done, and reports the sum of all', async () => {
  const { isCorrect, document } = await resume(shard(1), shard(2, { hasGracePeriod: true }));
  expect(isCorrect).toBe(true);
  expect(document).toContain('Shards with the seeds 1 to 2;');
  expect(document).toContain('| connection-days | 8,000 | 4,000 | 4,000 |');
  expect(document).toContain('| … five-year limit | 4 | 2 | 2 |');
  expect(document).not.toContain('old');
  expect(document).toContain('\n\n## Figures\n\nkept\n');
});

it('ignores shards of another size, and fails if a shard was wrong', async () => {
  const size = { ...SHARD_SIZE, days: SHARD_SIZE.days + 1 };
  const totals = { connectionDays: 500_000, losses: 1, 'lost: avoidable': 1 };
  const { isCorrect, document } = await resume(shard(1), shard(2, { totals, failures: 1 }), shard(3, { size }));
  expect(isCorrect).toBe(false);
  expect(document).toContain('| connection-days | 504,000 |');
  expect(document).toContain('| **… per million connection-days** | **2** |');
});
