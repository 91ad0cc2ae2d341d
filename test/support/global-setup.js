import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import mysql from 'mysql2/promise';

const CHROMIUM_PATHS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** Finds what the tests can reach, and tells what they will skip for want of it. */
export default async function globalSetup() {
  await offer('TEST_MYSQL_URL', 'mysql://root@127.0.0.1:3307/test');
  await offer('TEST_MARIADB_URL', 'mysql://root@127.0.0.1:3306/test');
  process.env.CHROMIUM_PATH ??= CHROMIUM_PATHS.find((path) => existsSync(path)) ?? '';
  process.env.HAS_REDIS = spawnSync('redis-server', ['--version']).status === 0 ? 'yes' : '';
  if (!process.env.HAS_REDIS) tell('redis-server is not installed: the tests with a Redis of their own are skipped');
  if (!process.env.CHROMIUM_PATH) tell('CHROMIUM_PATH names no Chromium: the browser tests are skipped');
}

async function offer(variable, usualAddress) {
  const url = process.env[variable] ?? usualAddress;
  try {
    const connection = await mysql.createConnection({ uri: url, connectTimeout: 2_000 });
    await connection.end();
    process.env[variable] = url;
  } catch {
    if (process.env[variable]) throw new Error(`${variable} is set, but its server cannot be reached`);
    tell(`${variable} is not set and no server is at its usual address: its tests are skipped`);
  }
}

function tell(text) {
  process.stderr.write(`${text}\n`);
}
