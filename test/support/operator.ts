import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { environment } from './environment.ts';
import type { Harness } from './harness.ts';
import { emptyFolder, projectFile, runToEnd } from './processes.ts';

export const BUILT = 'dist/src/commands/connections.js';

/** Only what the commands need, in production. */
export function operatorVariables({ database, simulator }: Pick<Harness, 'database' | 'simulator'>) {
  const { ENCRYPTION_KEY, DATABASE_URL, ...others } = environment(database.url, simulator) as Record<string, string>;
  const qbo = Object.entries(others).filter(([name]) => /^QBO_(CLIENT|TOKEN|REVOKE|API)/.test(name));
  return {
    NODE_ENV: 'production',
    DATABASE_URL: DATABASE_URL ?? '',
    ENCRYPTION_KEY: ENCRYPTION_KEY ?? '',
    ...Object.fromEntries(qbo),
  };
}

/** An operator: runs `npm run connections -- …`, and keeps everything that it prints. */
export class Operator {
  /** Everything printed so far. */
  readonly output: string[] = [];
  private readonly harness: Harness;

  constructor(harness: Harness) {
    this.harness = harness;
  }

  /** Runs a verb without a terminal. */
  async run(...args: string[]) {
    return this.runWith(operatorVariables(this.harness), ...args);
  }

  async runWith(variables: Record<string, string>, ...args: string[]) {
    const ended = await runToEnd(BUILT, ['connections', ...args], variables);
    this.output.push(ended.stdout, ended.stderr);
    return ended;
  }

  /** The lines of `FILE.failed`, which are kept as what was printed is. */
  readReport(path: string): { line: number; reason: string; organization_id: unknown }[] {
    const text = readFileSync(path, 'utf8');
    this.output.push(text);
    return text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
  }

  /** Runs a verb on a terminal, where its user types a line. Returns what the terminal shows. */
  async runOnTerminal(typed: string, ...args: string[]): Promise<{ code: number; shown: string }> {
    return this.runOnTerminalWith(operatorVariables(this.harness), typed, ...args);
  }

  async runOnTerminalWith(
    variables: Record<string, string>,
    typed: string,
    ...args: string[]
  ): Promise<{ code: number; shown: string }> {
    const command = [process.execPath, projectFile(BUILT), 'connections', ...args].map((part) => `'${part}'`).join(' ');
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      cwd: emptyFolder(),
      env: { PATH: process.env['PATH'] ?? '', ...variables },
    });
    const killOnExit = () => child.kill('SIGKILL');
    process.once('exit', killOnExit);
    let [shown, hasTyped] = ['', false];
    child.stdout.on('data', (text) => {
      shown += text;
      if (hasTyped || !/Type yes to continue: /.test(shown)) return;
      hasTyped = true;
      child.stdin.write(`${typed}\n`);
    });
    const [code] = await once(child, 'close');
    process.off('exit', killOnExit);
    this.output.push(shown);
    return { code, shown: shown.replaceAll('\r', '') };
  }
}
