import type { Result } from './fault.ts';

const WIDTHS = [30, 44, 56, 7];
const HEADS = ['Fault', 'What must happen', 'What happened', ''];

/** The table for a terminal. */
export function asText(results: Result[]): string {
  const rule = WIDTHS.map((width) => '─'.repeat(width)).join('──');
  return [HEADS, ...results.map(cells)].map((row) => `${lines(row)}\n${rule}`).join('\n');
}

/** The table for the documentation. */
export function asMarkdown(results: Result[], setting: string): string {
  const rows = [HEADS, HEADS.map(() => '---'), ...results.map(cells)];
  const table = rows.map((row) => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`);
  return `# Faults, as measured\n\nWritten by \`npm run test:faults -- --markdown docs/faults.md\`: ${setting}.\n\n${table.join('\n')}\n`;
}

/** `N passed, N failed, N skipped`. */
export function asCount(results: Result[]): string {
  const count = (state: Result['state']) => results.filter((result) => result.state === state).length;
  return `${count('ok')} passed, ${count('FAILED')} failed, ${count('skipped')} skipped`;
}

function cells({ fault, happened, state }: Result): string[] {
  return [fault.name, fault.must, happened, state];
}

function lines(row: string[]): string {
  const columns = row.map((cell, index) => wrap(cell, WIDTHS[index] ?? 0));
  const height = Math.max(...columns.map(({ length }) => length));
  const line = (number: number) => columns.map((column, index) => (column[number] ?? '').padEnd(WIDTHS[index] ?? 0));
  return Array.from({ length: height }, (_, number) => line(number).join('  ').trimEnd()).join('\n');
}

function wrap(text: string, width: number): string[] {
  const wrapped = [''];
  for (const word of text.split(' ')) {
    const line = `${wrapped.at(-1)} ${word}`.trimStart();
    if (line.length <= width) wrapped[wrapped.length - 1] = line;
    else wrapped.push(word);
  }
  return wrapped;
}
