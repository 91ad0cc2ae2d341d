import { cpus } from 'node:os';
import { serverVersion } from '../test/support/own-database.ts';

/** The MySQL server, or an error that says how to configure one. */
export async function findServer(): Promise<{ url: string; version: string }> {
  const { BENCH_DATABASE_URL, TEST_MYSQL_URL } = process.env;
  const url = BENCH_DATABASE_URL ?? TEST_MYSQL_URL ?? 'mysql://root@127.0.0.1:3307/test';
  try {
    return { url, version: await serverVersion(url) };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new Error(`No MySQL at ${new URL(url).host}: ${code ?? message}. Set BENCH_DATABASE_URL.`);
  }
}

/** What figures depend on. */
export function machine(): string {
  return `Node ${process.version}, ${cpus().length} cores (${cpus()[0]?.model})`;
}
