import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Grant } from './grants.ts';

/** The grants an earlier start left in the file; none when there is no file yet. */
export function loadGrants(file: string): Grant[] {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Grant[];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Writes by way of a second file: a process that is killed meanwhile leaves the old one whole. */
export function saveGrants(file: string, grants: Grant[]): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, JSON.stringify(grants), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
