import Table from 'cli-table3';
import type { Connection } from '../../models/connection.ts';

/** A cell of a table. */
type Cell = string | number | Date | null | undefined;

/** Prints one line. */
export function printLine(text: string): void {
  process.stdout.write(`${printable(text)}\n`);
}

/** Prints a table: with borders on a terminal, otherwise only aligned. */
export function printTable(head: string[], rows: Cell[][]): void {
  const plain = process.stdout.isTTY ? {} : { chars: NO_BORDERS, style: { head: [], border: [], 'padding-left': 0 } };
  const table = new Table({
    style: { head: [], border: [], compact: true },
    ...plain,
    ...(head.length > 0 ? { head } : {}),
  });
  for (const row of rows) table.push(row.map(textOf));
  const lines = table.toString().split('\n');
  process.stdout.write(`${lines.map((line) => line.trimEnd()).join('\n')}\n`);
}

/** Prints a value for programs. */
export function printJson(value: unknown): void {
  process.stdout.write(`${toJson(value, 2)}\n`);
}

/** Prints the elements of an array for programs, as they arrive. */
export async function printJsonArray(elements: AsyncIterable<unknown>): Promise<void> {
  let before = '[\n';
  for await (const element of elements) {
    process.stdout.write(`${before}  ${toJson(element)}`);
    before = ',\n';
  }
  process.stdout.write(before === '[\n' ? '[]\n' : '\n]\n');
}

/** What an operator sees of a connection's state. */
export function describeState(connection: Connection): string {
  if (connection.state === 'lost') return `lost: ${connection.reason}`;
  if (connection.refresh.isFailing) return 'active, refresh failing';
  return connection.lastVerifiedAt ? 'active' : 'active, unproven';
}

/** A company with its name, if it is known. */
export function describeCompany({ realmId, companyName }: Connection): string {
  return companyName === undefined ? realmId : `${realmId} (${companyName})`;
}

/** `1 row`, `2 rows`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

const NO_BORDERS = Object.fromEntries(
  [
    ...['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right'],
    ...['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid', 'middle'],
  ].map((name) => [name, '']),
);

function textOf(cell: Cell): string {
  if (cell instanceof Date) return cell.toISOString().replace('T', ' ').slice(0, 19);
  return printable(String(cell ?? '-'));
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is removed
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g;

/** A company's name is any text: without what would control the terminal. */
function printable(text: string): string {
  return text.replace(CONTROL, '�');
}

function toJson(value: unknown, indent?: number): string {
  const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return JSON.stringify(value, undefined, indent).replace(/[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, escaped);
}
