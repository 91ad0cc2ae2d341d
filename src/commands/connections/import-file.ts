import { readFileSync } from 'node:fs';
import { CsvError, parse as parseCsv } from 'csv-parse/sync';
import type { TokenCipher } from '../../crypto/token-cipher.ts';
import type { Ciphertext, OrganizationId, PlainToken, RealmId } from '../../models/connection.ts';
import { importLine } from '../../schemas/import-line.ts';
import { CommandError } from '../command-error.ts';

const COLUMNS = ['organization_id', 'realm_id', 'refresh_token'] as const;
const DELIMITERS = [',', ';', '\t'];
/** How every Fernet token of this century begins: its version, and the first bytes of its time. */
const FERNET = /^gAAAA[\w-]{60,}=*$/;

/** A connection to import. */
export interface ImportEntry {
  line: number;
  organizationId: OrganizationId;
  realmId: RealmId;
  refreshToken: PlainToken;
}

/** A line that was not imported. Never contains its token. */
export interface FailedLine {
  line: number;
  organizationId?: OrganizationId | undefined;
  realmId?: RealmId | undefined;
  reason: string;
}

/** A line as it is read: its fields, or undefined if they cannot be read. */
interface RawLine {
  line: number;
  fields: unknown;
  /** True if it has more fields than the header: one of them is divided, and those after it are in the wrong columns. */
  isTooLong?: boolean;
}

/** Reads a file of JSON Lines, or of CSV with a header line. @throws CommandError if the file as a whole cannot be read */
export function readImportFile(path: string, cipher: TokenCipher): { entries: ImportEntry[]; failed: FailedLine[] } {
  const text = decode(path);
  const lines = text.trimStart().startsWith('{') ? parseJsonLines(text) : parseCsvLines(path, text);
  const [entries, failed]: [ImportEntry[], FailedLine[]] = [[], []];
  const seen = new Map<string, number>();
  for (const raw of lines) {
    const entry = toEntry(raw, cipher);
    const duplicate = 'reason' in entry ? undefined : findDuplicate(entry, seen);
    if ('reason' in entry) failed.push(entry);
    else if (duplicate) failed.push({ ...withoutToken(entry), reason: duplicate });
    else entries.push(entry);
  }
  return { entries, failed };
}

/** What is reported of an entry. */
export function withoutToken({ line, organizationId, realmId }: ImportEntry): Omit<FailedLine, 'reason'> {
  return { line, organizationId, realmId };
}

function decode(path: string): string {
  const bytes = readBytes(path);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes); // without a byte order mark
  } catch {
    throw new CommandError(`${path} is not UTF-8 text.`);
  }
}

/** @throws Error of Node's, with the path, which Node leaves out for a folder */
function readBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw Object.assign(error as Error, { path });
  }
}

function parseJsonLines(text: string): RawLine[] {
  const lines = text.split('\n').map((content, index) => ({ content: content.trim(), line: index + 1 }));
  return lines
    .filter(({ content }) => content !== '')
    .map(({ content, line }) => {
      try {
        return { line, fields: JSON.parse(content) };
      } catch {
        return { line, fields: undefined }; // the error's text would quote the token
      }
    });
}

/** @throws CommandError without the parser's own text, which can quote a token */
function parseCsvLines(path: string, text: string): RawLine[] {
  let lineOfHeader: string[] = [];
  try {
    const records = parseCsv(text, {
      columns: (header: string[]) => {
        lineOfHeader = header.map((name) => name.trim().toLowerCase());
        return lineOfHeader;
      },
      delimiter: delimiterOf(text),
      info: true,
      skip_empty_lines: true,
      relax_column_count: true,
      trim: true,
    }) as unknown as { record: unknown; info: { lines: number; error?: { record: unknown[] } } }[];
    const missing = COLUMNS.filter((name) => !lineOfHeader.includes(name));
    if (missing.length > 0) {
      throw new CommandError(`${path} is not JSON Lines, and has no header line with ${missing.join(' and ')}.`);
    }
    return records.map(({ record, info: { lines: line, error } }) => ({
      line,
      fields: record,
      isTooLong: error !== undefined && error.record.length > lineOfHeader.length,
    }));
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw new CommandError(`${path} is not valid CSV: ${error.code} in line ${error['lines'] ?? '?'}.`);
  }
}

/** The character between the names in the header, which are parts of a value in other lines. */
function delimiterOf(text: string): string {
  const [header = ''] = text.trimStart().toLowerCase().split('\n', 1);
  const namesBetween = (delimiter: string) => header.split(delimiter).map((name) => name.replaceAll('"', '').trim());
  const isComplete = (names: string[]) => COLUMNS.every((name) => names.includes(name));
  return DELIMITERS.find((delimiter) => isComplete(namesBetween(delimiter))) ?? ',';
}

function toEntry({ line, fields, isTooLong }: RawLine, cipher: TokenCipher): ImportEntry | FailedLine {
  if (isTooLong) return { line, reason: 'invalid: it has more fields than the header' };
  const isObject = typeof fields === 'object' && fields !== null && !Array.isArray(fields);
  if (!isObject) return { line, reason: 'invalid: it is not a JSON object' };
  const known = { line, ...identifiersOf(fields) };
  const { data, error } = importLine.safeParse(fields);
  if (!data) {
    const [issue] = error.issues;
    return { ...known, reason: `invalid: ${String(issue?.path[0])} ${issue?.message}` };
  }
  const refreshToken = plainTokenOf(data.refresh_token, cipher);
  if (!refreshToken) {
    return { ...known, reason: 'invalid: refresh_token is a Fernet token that ENCRYPTION_KEY cannot decrypt' };
  }
  return { line, organizationId: data.organization_id, realmId: data.realm_id, refreshToken };
}

/** The identifiers that are valid. A field that is not may be a token in the wrong column. */
function identifiersOf(fields: object): Pick<FailedLine, 'organizationId' | 'realmId'> {
  const { organization_id, realm_id } = importLine.shape;
  const { organization_id: organization, realm_id: realm } = fields as Record<string, unknown>;
  return { organizationId: organization_id.safeParse(organization).data, realmId: realm_id.safeParse(realm).data };
}

/** The token itself, decrypted if it is a Fernet token under our key. Undefined if it is one under another key. */
function plainTokenOf(text: string, cipher: TokenCipher): PlainToken | undefined {
  if (!FERNET.test(text)) return text as PlainToken;
  try {
    return cipher.decrypt(text as Ciphertext);
  } catch {
    return undefined;
  }
}

/** Two organizations cannot share a grant: the refresh of one would end the other's. */
function findDuplicate({ line, organizationId, refreshToken }: ImportEntry, seen: Map<string, number>) {
  for (const [name, value] of [
    ['organization_id', organizationId],
    ['refresh_token', refreshToken],
  ] as const) {
    const earlier = seen.get(`${name} ${value}`);
    if (earlier !== undefined) return `invalid: ${name} is the same as in line ${earlier}`;
  }
  seen.set(`organization_id ${organizationId}`, line);
  seen.set(`refresh_token ${refreshToken}`, line);
  return undefined;
}
