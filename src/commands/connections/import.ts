import { rmSync, writeFileSync } from 'node:fs';
import { loadKeysConfig, readEnvironment } from '../../config/config.ts';
import { TokenCipher } from '../../crypto/token-cipher.ts';
import { type ConnectionFault, toConnectionFault } from '../../services/connection-fault.ts';
import type { ImportOutcome } from '../../services/connection-importer.ts';
import { FailedCompanies } from '../../services/failed-companies.ts';
import { CommandError } from '../command-error.ts';
import { withProgressBar } from '../progress-bar.ts';
import { approve } from './approve.ts';
import { type SystemOption, systemVerb, wholeNumber } from './arguments.ts';
import { type FailedLine, type ImportEntry, readImportFile, withoutToken } from './import-file.ts';
import { plural, printLine } from './output.ts';
import { type OperatorServices, withServices } from './resources.ts';

const HELP = `
FILE is JSON Lines, or CSV with a header line, of organization_id, realm_id and refresh_token; a refresh_token may be a Fernet
token that ENCRYPTION_KEY decrypts. Stop the system that the tokens come from first: each refresh by one of the two ends the
other's connection. Each connection is stored, then proven by one refresh and one request for its company. Run it again after
an interruption: it resumes. Lines that fail are in FILE.failed, with their reasons, without their tokens.`;

const UNPROVEN: Record<Extract<ImportOutcome, { kind: 'unproven' }>['cause'], string> = {
  provider_down: 'unproven: it is stored, but the provider is not available',
  service_rejected:
    'unproven: it is stored, but the provider rejects this service: are QBO_CLIENT_ID and QBO_CLIENT_SECRET right?',
  request_rejected: 'unproven: it is stored, but the provider rejects its refresh as malformed: is the token complete?',
  company_denied: 'unproven: it is stored, but the provider denies access to the company: is QBO_ENVIRONMENT right?',
};

const FAULTS: Record<ConnectionFault, string> = {
  damaged: 'damaged: the tokens that are stored for it cannot be decrypted',
  internal_error: 'internal_error: an internal fault',
};

interface Options extends SystemOption {
  replace?: true;
  dryRun?: true;
  rate: number;
  yes?: true;
}

/** Counts of how lines ended. */
interface Summary {
  connected: number;
  known: number;
  skipped: number;
  /** Why the import stopped before its last line; absent if it did not. */
  stopped: string | undefined;
}

/** The callbacks of a running import. */
interface Observers {
  onFailed(line: FailedLine): void;
  /** @param done how many lines were processed */
  onProgress(done: number): void;
}

/** `import`: connections of another system. */
export function importCommand() {
  return systemVerb('import', "Imports another system's connections from a file of refresh tokens.")
    .argument('<file>', 'JSON Lines or CSV')
    .option('--replace', 'replaces connections that organizations have, instead of skipping these lines')
    .option('--dry-run', 'only checks the file: calls nothing and changes nothing')
    .option('--rate <number>', 'no more connections per second than this', wholeNumber(1, 1_000), 5)
    .option('--yes', 'does not ask before it replaces connections')
    .addHelpText('after', HELP)
    .action((file: string, options: Options) =>
      options.dryRun
        ? checkFile(file)
        : withServices({ readsCompanies: true, system: options.system }, (services) =>
            importFile(services, file, options),
          ),
    );
}

async function importFile(services: OperatorServices, file: string, options: Options): Promise<void> {
  const { entries, failed } = readImportFile(file, services.cipher);
  await requireFirstKey(services);
  if (options.replace) await approve('This replaces the connections that these organizations have.', options);
  const total = entries.length + failed.length;
  const report = `${file}.failed`;
  writeReport(report, failed); // before anything is changed: it may not be writable
  const onFailed = (line: FailedLine) => {
    failed.push(line);
    writeReport(report, failed); // at once: the import may not get to its end
  };
  const summary = await withProgressBar({ total: entries.length, unit: 'lines' }, (onProgress) =>
    importEntries(services, entries, { ...options, onFailed, onProgress }),
  );
  const { connected, known, skipped, stopped } = summary;
  printLine(
    `Imported ${connected} of ${plural(total, 'line')}; ${known} imported before, ${skipped} skipped (connected already), ${failed.length} failed.`,
  );
  if (stopped) throw new CommandError(`${stopped} Run it again to resume.`);
  if (failed.length > 0) throw new CommandError(`${plural(failed.length, 'line')} failed: see ${report}.`);
}

/** Replicas could not decrypt what is encrypted with the key of another system. @throws CommandError */
async function requireFirstKey({ encryptionKey }: OperatorServices): Promise<void> {
  if (await encryptionKey.isFirstKeyInUse()) return;
  throw new CommandError(
    "The first key in ENCRYPTION_KEY, which encrypts what is imported, encrypted none of the stored tokens that were read: nothing was changed. Put this service's own key first.",
  );
}

async function importEntries(
  services: OperatorServices,
  entries: ImportEntry[],
  { system, replace, rate, onFailed, onProgress }: Options & Observers,
): Promise<Summary> {
  const { importer, clock, interrupted } = services;
  const summary: Summary = { connected: 0, known: 0, skipped: 0, stopped: undefined };
  const failedCompanies = new FailedCompanies();
  for (const [index, entry] of entries.entries()) {
    if (interrupted.aborted) summary.stopped = 'Interrupted.';
    if (summary.stopped) break;
    const startedMs = clock.monotonicMs();
    const { line: _, ...foreign } = entry;
    const how = { replaces: replace === true, signal: interrupted };
    const outcome = await importer.import({ system, ...foreign }, how).catch(toFailure);
    const reason = count(outcome, summary);
    if (reason) onFailed({ ...withoutToken(entry), reason });
    if (outcome.kind === 'unproven' && outcome.cause !== 'request_rejected') failedCompanies.add(entry.realmId);
    else if (outcome.kind === 'connected' && !outcome.isKnown) failedCompanies.clear();
    const isFatal = outcome.kind === 'unproven' && outcome.cause === 'service_rejected';
    if (isFatal || failedCompanies.isProviderDown()) summary.stopped = `Stopped in line ${entry.line}: ${reason}.`;
    onProgress(index + 1);
    const calledProvider = outcome.kind !== 'skipped' && !(outcome.kind === 'connected' && outcome.isKnown);
    if (calledProvider) await clock.sleep(Math.max(0, 1000 / rate - (clock.monotonicMs() - startedMs)), interrupted);
  }
  return summary;
}

/** @throws the error, if it concerns all connections */
function toFailure(error: unknown): ImportOutcome {
  return { kind: 'failed', reason: FAULTS[toConnectionFault(error)] };
}

/** Returns the reason of a line that failed. */
function count(outcome: ImportOutcome, summary: Summary): string | undefined {
  switch (outcome.kind) {
    case 'connected':
      if (outcome.isKnown) summary.known += 1;
      else summary.connected += 1;
      return undefined;
    case 'skipped':
      summary.skipped += 1;
      return undefined;
    case 'failed':
      return outcome.reason;
    case 'unproven':
      return UNPROVEN[outcome.cause];
  }
}

function checkFile(file: string): void {
  const { encryptionKeys } = loadKeysConfig(readEnvironment());
  const { entries, failed } = readImportFile(file, new TokenCipher(encryptionKeys));
  for (const { line, reason } of failed) printLine(`line ${line}: ${reason}`);
  printLine(`${entries.length} of ${plural(entries.length + failed.length, 'line')} of ${file} can be imported.`);
  if (failed.length > 0) throw new CommandError(`${plural(failed.length, 'line')} cannot be imported.`);
}

/** Writes the lines that have failed, in their order; removes the file if there are none. */
function writeReport(path: string, failed: FailedLine[]): void {
  const lines = [...failed].sort((a, b) => a.line - b.line).map(toReportLine);
  writeFileSync(path, lines.join(''));
  if (failed.length === 0) rmSync(path);
}

function toReportLine({ line, organizationId, realmId, reason }: FailedLine): string {
  const identifiers = { organization_id: organizationId ?? null, realm_id: realmId ?? null };
  return `${JSON.stringify({ line, ...identifiers, reason })}\n`;
}
