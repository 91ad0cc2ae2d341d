import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';

const root = fileURLToPath(new URL('..', import.meta.url));

/** What the files of each part may import of the others, beside their own. */
const MAY_IMPORT: Record<string, string[]> = {
  server: ['app', 'config', 'context', 'lifecycle', 'observability'],
  worker: ['config', 'context', 'lifecycle', 'observability'],
  commands: ['config', 'lifecycle', 'db', 'datastores', 'services', 'crypto', 'utils'],
  lifecycle: ['config', 'errors', 'observability'],
  app: ['context', 'config', 'routes', 'middleware', 'errors'],
  context: [
    'config',
    'observability',
    'middleware',
    'auth',
    'datastores',
    'db',
    'services',
    'jobs',
    'strategies',
    'crypto',
    'utils',
    'models',
  ],
  routes: ['auth', 'services', 'jobs', 'middleware', 'openapi', 'schemas', 'config', 'models', 'errors', 'utils'],
  openapi: ['middleware', 'schemas', 'errors'],
  middleware: ['auth', 'services', 'schemas', 'config', 'observability', 'models', 'errors', 'utils'],
  jobs: ['services', 'strategies', 'datastores', 'schemas', 'config', 'observability', 'models', 'errors', 'utils'],
  services: [
    'strategies',
    'datastores',
    'auth',
    'crypto',
    'schemas',
    'config',
    'observability',
    'models',
    'errors',
    'utils',
  ],
  auth: ['config', 'crypto', 'models', 'errors', 'utils'],
  strategies: ['config', 'models', 'errors', 'utils'],
  observability: ['config', 'datastores', 'schemas', 'models', 'utils'],
  schemas: ['models', 'errors'],
  datastores: ['db', 'models', 'errors'],
  db: ['config', 'models', 'errors'],
  config: ['crypto', 'utils'],
  crypto: ['models', 'errors'],
  utils: ['models', 'errors'],
  models: [],
  errors: [],
  migrations: ['db'],
};

/** Their types may be known to every part but the innermost. */
const TYPES_OF = ['config', 'context'];
const INNERMOST = ['utils', 'models', 'errors'];

/** The parts that may import each library; anything else that is not Node's own is forbidden everywhere. */
const HOMES: Record<string, string[]> = {
  express: ['app', 'routes', 'middleware'],
  helmet: ['app'],
  cors: ['middleware'],
  cookie: ['routes'],
  pino: ['observability'],
  'pino-pretty': ['observability'],
  'intuit-oauth': ['strategies'],
  undici: ['strategies', 'services', 'jobs'],
  'raw-body': ['routes'],
  'express-rate-limit': ['middleware'],
  'rate-limit-redis': ['middleware'],
  redis: ['middleware'],
  jose: ['auth'],
  knex: ['db', 'datastores', 'migrations'],
  libsql: ['db'],
  standardwebhooks: ['jobs'],
  'prom-client': ['observability'],
  zod: ['config', 'schemas', 'openapi', 'routes', 'strategies', 'auth'],
  '@asteasolutions/zod-to-openapi': ['openapi'],
};

interface Source {
  file: string;
  part: string;
  text: string;
  imports: string[];
  /** Those of `imports` of which types alone are taken. */
  types: string[];
}

const sources: Source[] = ['src', 'migrations'].flatMap(filesBelow).map((file) => {
  const text = readFileSync(join(root, file), 'utf8');
  const imports = [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(([, name]) => name ?? '');
  const types = [...text.matchAll(/import type [^;]*? from '([^']+)'/g)].map(([, name]) => name ?? '');
  return { file, part: partOf(file), text, imports, types };
});

describe('the architecture', () => {
  it('has a place for each file', () => {
    expect(sources.length).toBeGreaterThan(20);
    expect(sources.filter(({ part }) => !MAY_IMPORT[part]).map(({ file }) => file)).toEqual([]);
  });

  it('lets imports point one way', () => {
    const wrong = sources.flatMap(({ file, part, imports, types }) =>
      imports
        .filter((name) => name.startsWith('.'))
        .filter(
          (name) =>
            INNERMOST.includes(part) ||
            !(types.includes(name) && TYPES_OF.includes(partOf(relative(root, join(root, dirname(file), name))))),
        )
        .map((name) => relative(root, join(root, dirname(file), name)))
        .filter((target) => partOf(target) !== part && !MAY_IMPORT[part]?.includes(partOf(target)))
        .map((target) => `${file} imports ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it('gives each library one home', () => {
    const wrong = sources.flatMap(({ file, part, imports }) =>
      imports
        .filter((name) => !/^(\.|node:)/.test(name))
        .filter((name) => !HOMES[libraryOf(name)]?.includes(part))
        .map((name) => `${file} imports ${name}`),
    );
    expect(wrong).toEqual([]);
    const ofIntuit = sources.filter(({ imports }) => imports.includes('intuit-oauth')).map(({ file }) => file);
    expect(ofIntuit).toEqual(['src/strategies/quickbooks/quickbooks-strategy.ts']);
  });

  it('declares each library that it imports', () => {
    const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    const declared = Object.keys({ ...dependencies, 'pino-pretty': devDependencies['pino-pretty'] });
    const used = sources.flatMap(({ imports }) => imports.filter((name) => !/^(\.|node:)/.test(name)).map(libraryOf));
    expect([...new Set(used)].filter((name) => !declared.includes(name))).toEqual([]);
  });

  it('reads the environment in config.ts alone', () => {
    const readers = sources.filter(({ text }) => /process\.env|loadEnvFile/.test(text)).map(({ file }) => file);
    expect(readers).toEqual(['src/config/config.ts']);
    const users = sources.filter(
      ({ text, part }) => /\bprocess\.\w/.test(text) && !['server', 'worker', 'lifecycle', 'commands'].includes(part),
    );
    expect(users.map(({ file }) => file).sort()).toEqual(['src/config/config.ts', 'src/observability/logger.ts']);
  });

  it('builds its parts in context.ts alone', () => {
    const built = /new (\w+Datastore|OAuthService|QuickBooksStrategy|TokenManager|Health|Fernet|OAuthStates)\(/;
    const builders = sources.filter(({ text }) => built.test(text)).map(({ file }) => file);
    expect(builders.filter((file) => !/context\.ts|strategies\/strategy-registry\.ts|commands\//.test(file))).toEqual(
      [],
    );
  });

  it('imports with the file’s ending, and mentions no console', () => {
    const endless = sources.flatMap(({ imports }) => imports.filter((name) => /^\.(?!.*\.ts$)/.test(name)));
    expect(endless).toEqual([]);
    expect(sources.filter(({ text }) => /\bconsole\./.test(text)).map(({ file }) => file)).toEqual([]);
  });
});

function filesBelow(folder: string): string[] {
  const files = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
  return files.filter((file) => file.endsWith('.ts')).map((file) => join(folder, file));
}

/** `src/db/session.ts` → `db`; `src/app.ts` → `app`. */
function partOf(file: string): string {
  return file.replace(/^src\//, '').replace(/[./].*$/, '');
}

/** `knex/types/tables.js` → `knex`. */
function libraryOf(name: string): string {
  return name.replace(/^((?:@[^/]+\/)?[^/]+).*$/, '$1');
}
