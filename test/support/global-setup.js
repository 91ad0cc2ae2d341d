import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import mysql from 'mysql2/promise';

const CHROMIUM_PATHS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** Programs that tests start, with the variable that says whether each is installed. */
const PROGRAMS = [
  { variable: 'HAS_MARIADB', command: 'mariadbd', version: '--version' },
  { variable: 'HAS_REDIS', command: 'redis-server', version: '--version' },
  { variable: 'HAS_PROMTOOL', command: 'promtool', version: '--version' },
  { variable: 'HAS_NGINX', command: 'nginx', version: '-v' },
  { variable: 'HAS_HAPROXY', command: 'haproxy', version: '-v' },
];

/** Finds the databases and programs that tests can use, and reports the tests that are skipped without them. */
export default async function globalSetup() {
  await findDatabase('TEST_MYSQL_URL', 'mysql://root@127.0.0.1:3307/test');
  await findDatabase('TEST_MARIADB_URL', 'mysql://root@127.0.0.1:3306/test');
  process.env.CHROMIUM_PATH ??= CHROMIUM_PATHS.find((path) => existsSync(path)) ?? '';
  for (const program of PROGRAMS) findProgram(program);
  if (!process.env.CHROMIUM_PATH)
    report('CHROMIUM_PATH is not set and Chromium is not installed: the browser tests are skipped');
}

async function findDatabase(variable, defaultUrl) {
  const url = process.env[variable] ?? defaultUrl;
  try {
    const connection = await mysql.createConnection({ uri: url, connectTimeout: 2_000 });
    await connection.end();
    process.env[variable] = url;
  } catch {
    if (process.env[variable]) throw new Error(`${variable} is set, but its server cannot be reached`);
    report(`${variable} is not set and no server runs at its default address: its tests are skipped`);
  }
}

function findProgram({ variable, command, version }) {
  process.env[variable] = spawnSync(command, [version]).status === 0 ? 'yes' : '';
  if (!process.env[variable]) report(`${command} is not installed: the tests that start it are skipped`);
}

function report(text) {
  process.stderr.write(`${text}\n`);
}
