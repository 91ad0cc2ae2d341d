import { SingleBar } from 'cli-progress';

const [DONE, LEFT, WIDTH] = ['█', '░', 40];

/** Shows how far a long command has got. */
type Update = (done: number) => void;

/**
 * Draws a bar on stderr, if that is a terminal, until the work ends: a bar that is left behind would keep the process alive.
 * @param unit what is counted: `rows`
 */
export async function withProgressBar<T>(
  { total, unit }: { total: number; unit: string },
  work: (update: Update) => Promise<T>,
): Promise<T> {
  if (!process.stderr.isTTY || total === 0) return work(() => undefined);
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
  try {
    return await work((value) => {
      done = Math.min(value, total);
      bar.update(done);
    });
  } finally {
    bar.stop();
    const filled = DONE.repeat(Math.floor((done / total) * WIDTH)).padEnd(WIDTH, LEFT);
    process.stderr.write(`${filled} ${done} of ${total} ${unit}\n`); // without the time that is left
  }
}
