import { appendFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import mysql from 'mysql2/promise';
import { within } from '../../src/utils/with-timeout.ts';
import type { Fault, Result, Scene } from './fault.ts';
import { crashes } from './rows/crashes.ts';
import { databaseOutages } from './rows/database-outages.ts';
import { life } from './rows/life.ts';
import { providerDown } from './rows/provider-down.ts';
import { providerSlow } from './rows/provider-slow.ts';
import { refusals } from './rows/refusals.ts';
import { shutdown } from './rows/shutdown.ts';
import { validToken } from './rows/valid-token.ts';
import { Stage } from './stage.ts';
import { asCount, asMarkdown, asText } from './table.ts';

process.setMaxListeners(50); // each process that is started is killed when this one exits

/** Each is two processes of the service, an Intuit and their callers: more at once would measure this machine. */
const AT_ONCE = 10;
const LONGEST_MS = 90_000;
const SERVERS = [
  process.env['TEST_MYSQL_URL'] ?? 'mysql://root@127.0.0.1:3307/test',
  process.env['TEST_MARIADB_URL'] ?? 'mysql://root@127.0.0.1:3306/test',
];
/** The longest first. */
const SCENES = [
  ...databaseOutages,
  ...providerDown,
  ...crashes,
  ...providerSlow,
  ...shutdown,
  ...life,
  ...refusals,
  ...validToken,
];

let isInterrupted = false;
const interruption = new Promise<never>((_, reject) => {
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => reject(new Error('interrupted')));
});
interruption.catch(() => {
  isInterrupted = true;
});

const { values } = parseArgs({ options: { markdown: { type: 'string' }, only: { type: 'string', default: '' } } });
const began = performance.now();
const server = await findServer();
const results = await playAll(SCENES.map(chosen).filter(({ faults }) => faults.length > 0));
const took = Math.round((performance.now() - began) / 1000);
const setting = `Node ${process.version}, ${server?.version ?? 'no database'}, ${cpus().length} cores, ${took} s in all`;
if (values.markdown) await writeFile(values.markdown, asMarkdown(results, setting));
process.stdout.write(`${asText(results)}\n${setting}\n${asCount(results)}\n`);
if (process.env['TEST_SUMMARY_FILE']) await appendFile(process.env['TEST_SUMMARY_FILE'], `${asCount(results)}\n`);
process.exit(results.some(({ state }) => state === 'FAILED') ? 1 : 0);

/** The scene with those of its faults that `--only` asks for. */
function chosen(scene: Scene): Scene {
  return { ...scene, faults: scene.faults.filter(({ name }) => name.includes(values.only)) };
}

/** Several scenes at once, then, one by one, those that measure milliseconds. Answers in the scenes' order. */
async function playAll(scenes: Scene[]): Promise<Result[]> {
  const results = new Map<Scene, Result[]>();
  const waiting = scenes.filter(({ alone }) => !alone);
  const playWaiting = async () => {
    for (let scene = waiting.shift(); scene; scene = waiting.shift()) results.set(scene, await play(scene));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, playWaiting));
  for (const scene of scenes.filter(({ alone }) => alone)) results.set(scene, await play(scene));
  return scenes.flatMap((scene) => results.get(scene) ?? []);
}

async function play({ on = {}, faults }: Scene): Promise<Result[]> {
  const because = (state: Result['state'], happened: string) => faults.map((fault) => ({ fault, state, happened }));
  if (!server) return because('skipped', 'neither MySQL nor MariaDB can be reached: set TEST_MYSQL_URL');
  if (isInterrupted) return because('skipped', 'interrupted');
  const results: Result[] = [];
  try {
    await Stage.with(on, server.url, async (stage) => {
      for (const fault of faults) {
        await stage.reset();
        results.push(tell(await playFault(fault, stage)));
      }
    });
    return results;
  } catch (error) {
    return because('FAILED', `no stage: ${error}`).map(tell);
  }
}

async function playFault(fault: Fault, stage: Stage): Promise<Result> {
  try {
    const run = Promise.race([fault.run(stage), interruption]);
    const { happened, checks } = await within(LONGEST_MS, run, () => new Error('it did not end'));
    const all: Record<string, boolean> = { ...checks, 'no internal error is logged': stage.internalErrors === 0 };
    const broken = Object.keys(all).filter((name) => !all[name]);
    if (broken.length === 0) return { fault, state: 'ok', happened };
    return { fault, state: 'FAILED', happened: `${happened}. NOT TRUE: ${broken.join('; ')}` };
  } catch (error) {
    return { fault, state: 'FAILED', happened: String(error) };
  }
}

function tell(result: Result): Result {
  process.stderr.write(`${result.state.padEnd(7)} ${result.fault.name}\n`);
  return result;
}

/** The first server that can be reached. */
async function findServer(): Promise<{ url: string; version: string } | undefined> {
  for (const url of SERVERS) {
    try {
      const connection = await mysql.createConnection({ uri: url, connectTimeout: 2_000 });
      const [rows] = await connection.query('SELECT VERSION() AS version');
      await connection.end();
      const [{ version }] = rows as [{ version: string }];
      return { url, version: version.includes('MariaDB') ? version : `MySQL ${version}` };
    } catch {
      // the next one, then
    }
  }
  return undefined;
}
