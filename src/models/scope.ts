import type { AccountingSystem } from './connection.ts';

/** Every scope that can be granted to an API key. The gateway's are named after the accounting system. */
export const SCOPES = [
  'connections:read',
  'connections:write',
  'connections:list',
  'quickbooks:read',
  'quickbooks:write',
] as const;

/** What a route requires of its caller. */
export type Scope = `connections:${'read' | 'write' | 'list'}` | `${AccountingSystem}:${'read' | 'write'}`;
