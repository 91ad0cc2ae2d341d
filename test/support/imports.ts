import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach } from '@jest/globals';
import type { IntuitSimulator } from '../../dev/intuit-simulator/simulator.ts';
import { REDIRECT_URI } from './environment.ts';

/** A connection of another system, as a file to import has it. */
export interface ForeignLine {
  organization_id: string;
  realm_id: string;
  refresh_token: string;
}

/** Consents for a company, as another system did. Returns the refresh token that it has. */
export async function foreignToken(simulator: IntuitSimulator, realmId: string): Promise<string> {
  const { clientId, clientSecret } = simulator.settings;
  const code = simulator.issueCode({ realmId, redirectUri: REDIRECT_URI });
  const response = await fetch(simulator.urls.tokenUrl, {
    method: 'POST',
    headers: { Authorization: `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'authorization_code', code, redirect_uri: REDIRECT_URI }),
  });
  const { refresh_token } = (await response.json()) as { refresh_token: string };
  return refresh_token;
}

/** Connections of another system, each to a company of its own. */
export async function foreignLines(simulator: IntuitSimulator, count: number, prefix = 'org'): Promise<ForeignLine[]> {
  const lines: ForeignLine[] = [];
  for (let at = 0; at < count; at += 1) {
    const realm_id = String(5_000 + at);
    lines.push({
      organization_id: `${prefix}-${at}`,
      realm_id,
      refresh_token: await foreignToken(simulator, realm_id),
    });
  }
  return lines;
}

export function toJsonLines(lines: object[]): string {
  return lines.map((line) => `${JSON.stringify(line)}\n`).join('');
}

export function toCsv(lines: ForeignLine[]): string {
  return [
    'organization_id,realm_id,refresh_token\n',
    ...lines.map((line) => `${Object.values(line).join(',')}\n`),
  ].join('');
}

/** Where the tests of a file write what they import, and find its report. Both are deleted before each test. */
export function useImportFile(): { folder: string; file: string; report: string } {
  const folder = mkdtempSync(join(tmpdir(), 'import-'));
  const file = join(folder, 'connections');
  const report = `${file}.failed`;
  beforeEach(() => {
    for (const path of [file, report]) rmSync(path, { force: true });
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  return { folder, file, report };
}
