import { describe, expect, it } from '@jest/globals';
import { BackgroundTasks } from '../../src/utils/background-tasks.ts';

describe('BackgroundTasks', () => {
  it('resolves or rejects as the task does', async () => {
    const tasks = new BackgroundTasks();
    expect(await tasks.run(Promise.resolve(7))).toBe(7);
    await expect(tasks.run(Promise.reject(new Error('no')))).rejects.toThrow('no');
  });

  it('is drained at once if nothing is running', async () => {
    await expect(new BackgroundTasks().drain()).resolves.toBeUndefined();
  });

  it('is drained when the last task has ended, including one that failed and one that started meanwhile', async () => {
    const tasks = new BackgroundTasks();
    const ended: string[] = [];
    let finishFirst = (): void => undefined;
    let failSecond = (): void => undefined;
    const first = new Promise<void>((resolve) => {
      finishFirst = resolve;
    });
    const second = new Promise<void>((_, reject) => {
      failSecond = () => reject(new Error('no'));
    });
    const firstRun = tasks.run(first.then(() => ended.push('first')));
    const drained = tasks.drain().then(() => ended.push('drained'));

    const secondRun = tasks.run(second).catch(() => ended.push('second'));
    finishFirst();
    await firstRun;
    expect(ended).toEqual(['first']);
    failSecond();
    await Promise.all([secondRun, drained]);
    expect(ended).toEqual(['first', 'second', 'drained']);
  });
});
