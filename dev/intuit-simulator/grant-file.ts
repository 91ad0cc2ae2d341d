import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Grant } from './grants.ts';

/** Reads the grants of earlier runs. Returns none if there is no file yet. */
export function loadGrants(file: string): Grant[] {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Grant[];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Writes a second file and renames it, so that a process that is killed meanwhile leaves the first one intact. */
export function saveGrants(file: string, grants: Grant[]): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, JSON.stringify(grants), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
