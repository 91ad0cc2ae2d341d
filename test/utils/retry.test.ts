import { describe, expect, it } from '@jest/globals';
import { AppError } from '../../src/errors.ts';
import { persistently } from '../../src/utils/retry.ts';

const away = new AppError('service_unavailable', 'away', 5);

describe('persistently', () => {
  it('answers what the work answers', async () => {
    expect(await persistently(async () => 'done')).toBe('done');
  });

  it('works again while the database is away', async () => {
    const work = failing(2, away);
    expect(await persistently(work.run)).toBe('done');
    expect(work.runs()).toBe(3);
  });

  it('gives up with the last error when its patience ends', async () => {
    const work = failing(Number.POSITIVE_INFINITY, away);
    await expect(persistently(work.run, 250)).rejects.toBe(away);
    expect(work.runs()).toBe(2); // at 0 and 100 ms; the next would be at 300
  });

  it('tries once where it has no patience', async () => {
    const work = failing(1, away);
    await expect(persistently(work.run, 0)).rejects.toBe(away);
    expect(work.runs()).toBe(1);
  });

  it.each([new Error('a fault of ours'), new AppError('internal_error', 'x')])('does not repeat %s', async (error) => {
    const work = failing(1, error);
    await expect(persistently(work.run)).rejects.toBe(error);
    expect(work.runs()).toBe(1);
  });
});

function failing(times: number, error: Error): { run: () => Promise<string>; runs: () => number } {
  let runs = 0;
  const run = async () => {
    runs += 1;
    if (runs <= times) throw error;
    return 'done';
  };
  return { run, runs: () => runs };
}
