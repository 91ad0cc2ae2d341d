import type { TestService } from './service.ts';

/** Reads Prometheus' text. Returns each sample, such as `name{label="value"}`, with its value. */
export function readMetrics(text: string): Record<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return Object.fromEntries(
    lines.map((line) => {
      const [, sample = '', value] = /^(\S+(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
      return [sample, Number(value)];
    }),
  );
}

/** Reads a service's `/metrics`. */
export async function scrape({ origin }: Pick<TestService, 'origin'>): Promise<Record<string, number>> {
  return readMetrics(await (await fetch(`${origin}/metrics`)).text());
}
