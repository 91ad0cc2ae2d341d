import { parseArgs } from 'node:util';
import { writeSection } from '../test/support/documentation.ts';
import { type BenchmarkEnvironment, withEnvironment } from './environment.ts';
import { measureFernet } from './fernet.ts';
import { closedLoop, openLoop, type Round, type Target } from './load.ts';
import { residentBytes } from './process-usage.ts';
import * as report from './report.ts';
import { interleave } from './rounds.ts';
import { findServer, machine } from './setting.ts';

process.setMaxListeners(20); // each child process is killed when this one exits

const { values } = parseArgs({
  options: { short: { type: 'boolean', default: false }, markdown: { type: 'string' }, python: { type: 'string' } },
});

const FULL = { rounds: 7, seconds: 4, rows: 10_000, rowsOfLargeTable: 1_000_000, requests: 150_000 };
/** Shows that the benchmark works, and figures of little precision. */
const SHORT = { rounds: 2, seconds: 1, rows: 10_000, rowsOfLargeTable: 20_000, requests: 10_000 };
const { rounds, seconds, rows, rowsOfLargeTable, requests } = values.short ? SHORT : FULL;
/** Callers that send the next request when they have a response. */
const CALLERS = 32;
/** Callers that send requests at random times. */
const RANDOM_CALLERS = 10;
/** Requests per second of each of them: a load that leaves the process mostly idle. */
const RATE = 20;

const interruption = new Promise<never>((_, reject) => {
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => reject(new Error('interrupted')));
});
interruption.catch(() => undefined);

try {
  const startedAt = performance.now();
  const { url: serverUrl, version } = await findServer();
  progress(`filling tables with ${rows} and ${rowsOfLargeTable} rows`);
  const figures = await withEnvironment({ serverUrl, rows, rowsOfLargeTable, python: values.python }, (environment) =>
    Promise.race([measure(environment), interruption]),
  );
  const duration = Math.round((performance.now() - startedAt) / 1000);
  const setting = `${machine()}, ${version}, ${duration} s`;
  process.stdout.write(`${report.asText(figures)}\n\n${setting}\n`);
  if (values.markdown) await writeSection(values.markdown, 'Figures', `${setting}.\n\n${report.asMarkdown(figures)}`);
  process.exit(0);
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exit(1);
}

async function measure(environment: BenchmarkEnvironment): Promise<report.Figure[]> {
  return [
    ...(await measureStatus(environment)),
    ...(await measureGateway(environment)),
    await measureMemory(environment),
    ...measureEncryption(),
  ];
}

async function measureStatus({ status, fastApi }: BenchmarkEnvironment): Promise<report.Figure[]> {
  progress('status');
  const { baseline, service, serviceOnLargeTable: largeTable } = status;
  const load = { connections: CALLERS, seconds };
  const max = await compare({ baseline, service, largeTable }, (target) => closedLoop(target, load));
  const one = await compare({ baseline, service }, (target) =>
    closedLoop(target, { connections: 1, seconds: seconds / 2 }),
  );
  const name = `status, ${rowsOfLargeTable.toLocaleString('en')} rows, baseline ${rows.toLocaleString('en')} rows`;
  return [
    ...report.throughputFigures(`status, ${CALLERS} callers`, 'status', max.service, max.baseline),
    ...report.latencyFigures('status, one caller', 'status', one.service, one.baseline),
    ...report.tableSizeFigures(name, max.largeTable, max.service),
    ...(fastApi ? await measureFastApi(status.service, fastApi) : []),
  ];
}

async function measureFastApi(service: Target, fastApi: Target): Promise<report.Figure[]> {
  progress('status of FastAPI');
  const max = await compare({ service, fastApi }, (target) => closedLoop(target, { connections: CALLERS, seconds }));
  return report.fastApiFigures(`status, ${CALLERS} callers, baseline FastAPI`, max.service, max.fastApi);
}

async function measureGateway({ gateway }: BenchmarkEnvironment): Promise<report.Figure[]> {
  progress('gateway');
  const { service, baseline: minimal, direct } = gateway;
  const max = await compare({ service, minimal }, (target) => closedLoop(target, { connections: CALLERS, seconds }));
  const all = { service, minimal, direct };
  const one = await compare(all, (target) => closedLoop(target, { connections: 1, seconds: seconds / 2 }));
  const random = { connections: RANDOM_CALLERS, seconds, rate: RATE };
  const ten = await compare(all, (target) => openLoop(target, random));
  return [
    ...report.throughputFigures(`gateway, ${CALLERS} callers`, 'gateway', max.service, max.minimal),
    ...report.addedLatencyFigures('gateway, one caller', one),
    ...report.addedLatencyFigures(`gateway, ${RANDOM_CALLERS} callers at ${RATE} requests/s`, ten),
  ];
}

/** Measures each target alternately. */
async function compare<Name extends string>(
  targets: Record<Name, Target>,
  load: (target: Target) => Promise<Round>,
): Promise<Record<Name, Round>> {
  const entries = Object.entries<Target>(targets).map(([name, target]) => [name, () => load(target)]);
  return interleave(Object.fromEntries(entries) as Record<Name, () => Promise<Round>>, rounds);
}

/** Measures memory after `requests` more requests, status and gateway alternately. */
async function measureMemory({ service, status, gateway }: BenchmarkEnvironment): Promise<report.Figure> {
  progress('memory');
  let count = 0;
  while (count < requests) {
    for (const target of [status.service, gateway.service]) {
      count += (await closedLoop(target, { connections: CALLERS, seconds })).requests;
    }
  }
  return report.memoryFigure(count, await residentBytes(service.pid));
}

function measureEncryption(): report.Figure[] {
  progress('Fernet');
  const { encrypt, decrypt } = measureFernet(rounds, seconds * 50);
  return [
    report.fernetFigure('Fernet encrypt, baseline fernet package', encrypt),
    report.fernetFigure('Fernet decrypt', decrypt),
  ];
}

function progress(step: string): void {
  process.stderr.write(`${step} …\n`);
}
