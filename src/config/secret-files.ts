import { readFileSync } from 'node:fs';
import type { Environment } from './environment-schema.ts';
import { plainValue } from './plain-value.ts';

/** The variables that can be read from a file instead: `NAME_FILE` is its path. */
export const SECRETS = [
  'DATABASE_URL',
  'QBO_CLIENT_SECRET',
  'ENCRYPTION_KEY',
  'OAUTH_STATE_SECRET',
  'API_KEYS',
  'REDIS_URL',
  'EVENTS_WEBHOOK_SECRET',
] as const;

/** The name of the variable that holds the path of a secret's file. */
export function fileVariable(name: string): string {
  return `${name}_FILE`;
}

/** Returns the secrets that are in files, by the variable's name, and a problem for each that cannot be read. */
export function readSecretFiles(given: Environment): { values: Environment; problems: Record<string, string> } {
  const values: Environment = {};
  const problems: Record<string, string> = {};
  for (const name of SECRETS) {
    const path = given[fileVariable(name)];
    if (!path) continue;
    const { value, problem } = given[name] ? { problem: 'must not be set as well' } : readText(path);
    if (problem) problems[name] = `${problem} (${fileVariable(name)} is set)`;
    else values[name] = value;
  }
  return { values, problems };
}

function readText(path: string): { value?: string; problem?: string } {
  try {
    const value = plainValue(new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path)));
    return value ? { value } : { problem: 'is missing in its file, which is empty' };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { problem: `cannot be read from its file: ${code?.replace(/^ERR_ENCODING.*/, 'not UTF-8 text')}` };
  }
}
