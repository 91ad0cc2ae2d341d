import { SingleBar } from 'cli-progress';

const [DONE, LEFT, WIDTH] = ['█', '░', 40];

/** How far a long command has got. */
export interface ProgressBar {
  update(done: number): void;
  /** Ends the bar's line. */
  stop(): void;
}

/** Draws a bar on stderr, if that is a terminal. @param unit what is counted: `rows` */
export function startProgressBar(total: number, unit: string): ProgressBar {
  if (!process.stderr.isTTY || total === 0) return { update: () => undefined, stop: () => undefined };
  const bar = new SingleBar({
    format: `{bar} {value} of {total} ${unit}, {eta_formatted} left`,
    barCompleteChar: DONE,
    barIncompleteChar: LEFT,
    barsize: WIDTH,
    clearOnComplete: true,
    hideCursor: null, // it would stay hidden after a kill
    stream: process.stderr,
  });
  let done = 0;
  bar.start(total, done);
  return {
    update: (value) => {
      done = Math.min(value, total);
      bar.update(done);
    },
    stop: () => {
      bar.stop();
      const filled = DONE.repeat(Math.floor((done / total) * WIDTH)).padEnd(WIDTH, LEFT);
      process.stderr.write(`${filled} ${done} of ${total} ${unit}\n`); // without the time that is left
    },
  };
}
