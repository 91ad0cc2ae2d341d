/** One line: ours, what it is compared with, how, and what was aimed at. */
export interface Line {
  figure: string;
  ours: string;
  beside: string;
  comparison: string;
  aim: string;
  /** Absent where nothing was aimed at. */
  isMet?: boolean;
}

const HEADS = ['', 'this service', 'beside it', 'ratio or difference', 'aim', ''];

/** The table for a terminal. */
export function asText(lines: Line[]): string {
  const rows = [HEADS, ...lines.map(cells)];
  const widths = HEADS.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** The table for the documentation. */
export function asMarkdown(lines: Line[]): string {
  const rows = [HEADS, ['---', '---:', '---:', '---:', '---:', '---'], ...lines.map(cells)];
  return rows.map((row) => `| ${row.join(' | ')} |`).join('\n');
}

function cells({ figure, ours, beside, comparison, aim, isMet }: Line): string[] {
  return [figure, ours, beside, comparison, aim, isMet === undefined ? '' : isMet ? 'met' : 'missed'];
}
