import type { TestService } from './service.ts';

/** Prometheus' text as samples: `name{label="value"}` → its value. */
export function readMetrics(text: string): Record<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return Object.fromEntries(
    lines.map((line) => {
      const [, sample = '', value] = /^(\S+(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
      return [sample, Number(value)];
    }),
  );
}

/** What a service tells at `/metrics`. */
export async function scrape({ origin }: Pick<TestService, 'origin'>): Promise<Record<string, number>> {
  return readMetrics(await (await fetch(`${origin}/metrics`)).text());
}
