import { readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { findServer } from './database.ts';
import { measureFernet } from './fernet.ts';
import { ofFernet, ofGateway, ofGatewayFlatOut, ofMemory, ofRows, ofStatus } from './lines.ts';
import { flatOut, paced, type Round } from './load.ts';
import { takeTurns } from './rounds.ts';
import { type Stage, setStage } from './stage.ts';
import { asMarkdown, asText, type Line } from './table.ts';

process.setMaxListeners(20); // each process that is started is killed when this one exits

const { values } = parseArgs({ options: { short: { type: 'boolean', default: false }, markdown: { type: 'string' } } });

const FULL = { rounds: 7, seconds: 4, rows: 10_000, manyRows: 1_000_000, requests: 150_000 };
const SHORT = { rounds: 3, seconds: 2, rows: 10_000, manyRows: 100_000, requests: 20_000 };
const { rounds, seconds, rows, manyRows, requests } = values.short ? SHORT : FULL;
const CONNECTIONS = 10;
/** Calls a second on each connection: a load that leaves the process mostly idle. */
const RATE = 20;

try {
  const began = performance.now();
  const server = await findServer();
  const lines = [...(await measureService(server.url)), ...fernetLines()];
  const took = Math.round((performance.now() - began) / 1000);
  const cores = `${cpus().length} cores (${cpus()[0]?.model})`;
  const setting = `Node ${process.version}, MySQL ${server.version}, ${cores}, ${took} s in all`;
  process.stdout.write(`${asText(lines)}\n\n${setting}\n`);
  if (values.markdown) await writeFigures(values.markdown, `${setting}.\n\n${asMarkdown(lines)}`);
  process.exit(0);
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exit(1);
}

async function measureService(serverUrl: string): Promise<Line[]> {
  tell(`filling ${rows} and ${manyRows} rows`);
  const stage = await setStage(serverUrl, rows, manyRows);
  const interrupted = async () => {
    await stage.close();
    process.exit(1);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void interrupted());
  try {
    return [...(await statusLines(stage)), ...(await gatewayLines(stage)), await memoryLine(stage)];
  } finally {
    await stage.close();
  }
}

async function statusLines({ status }: Stage): Promise<Line[]> {
  tell('status');
  const contest = {
    floor: () => flatOut(status.floor, CONNECTIONS, seconds),
    service: () => flatOut(status.service, CONNECTIONS, seconds),
    onManyRows: () => flatOut(status.serviceOnManyRows, CONNECTIONS, seconds),
  };
  const { floor, service, onManyRows } = await takeTurns(contest, rounds);
  const many = `status, ${manyRows.toLocaleString('en')} rows, beside ${rows.toLocaleString('en')}`;
  return [...ofStatus(service, floor), ...ofRows(many, onManyRows, service)];
}

async function gatewayLines({ gateway }: Stage): Promise<Line[]> {
  tell('gateway');
  const beside = (measure: (target: Stage['gateway']['direct']) => Promise<Round>) =>
    takeTurns({ direct: () => measure(gateway.direct), service: () => measure(gateway.service) }, rounds);
  const one = await beside((target) => flatOut(target, 1, seconds / 2));
  const ten = await beside((target) => paced(target, CONNECTIONS, RATE, seconds));
  const all = await beside((target) => flatOut(target, CONNECTIONS, seconds / 2));
  return [
    ...ofGateway('gateway, one caller', one.service, one.direct),
    ...ofGateway(`gateway, ten callers of ${RATE} calls/s`, ten.service, ten.direct),
    ...ofGatewayFlatOut(all.service, all.direct),
  ];
}

/** After `requests` more of them, for the most part status. */
async function memoryLine({ service, status, gateway }: Stage): Promise<Line> {
  tell('memory');
  let count = 0;
  while (count < requests) {
    for (const target of [status.service, gateway.service]) {
      count += (await flatOut(target, CONNECTIONS, seconds)).requests;
    }
  }
  return ofMemory(count, await service.memory());
}

function fernetLines(): Line[] {
  tell('Fernet');
  const { encrypt, decrypt } = measureFernet(rounds, seconds * 50);
  return [ofFernet('Fernet, encrypt, beside the fernet package', encrypt), ofFernet('Fernet, decrypt', decrypt)];
}

/** Puts the figures in the place of the document's earlier ones. */
async function writeFigures(file: string, figures: string): Promise<void> {
  const document = await readFile(file, 'utf8');
  const written = document.replace(/(?<=\n## Figures\n).*?(?=\n## |$)/s, () => `\n${figures}\n`);
  await writeFile(file, written);
}

function tell(what: string): void {
  process.stderr.write(`${what} …\n`);
}
