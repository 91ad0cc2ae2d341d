import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';

const root = fileURLToPath(new URL('..', import.meta.url));

/** The layers from the bottom to the top, and what each may import besides its own files. */
const MAY_IMPORT: Record<string, string[]> = {
  errors: [],
  models: ['errors'],
  utils: ['errors'],
  crypto: ['models'],
  config: ['crypto', 'models', 'utils'],
  egress: ['config', 'utils'],
  tracing: ['config', 'utils'],
  schemas: ['models', 'errors'],
  db: ['config', 'models', 'errors', 'utils'],
  datastores: ['db', 'models', 'crypto', 'errors', 'utils'],
  strategies: ['config', 'egress', 'schemas', 'models', 'errors', 'utils'],
  auth: ['config', 'egress', 'crypto', 'models', 'errors', 'utils'],
  observability: ['config', 'datastores', 'schemas', 'models', 'errors', 'utils'],
  redis: ['config', 'observability', 'utils'],
  services: [
    'redis',
    'strategies',
    'egress',
    'datastores',
    'crypto',
    'auth',
    'observability',
    'models',
    'errors',
    'utils',
  ],
  jobs: ['services', 'strategies', 'egress', 'datastores', 'schemas', 'observability', 'models', 'errors', 'utils'],
  middleware: ['redis', 'auth', 'schemas', 'config', 'observability', 'tracing', 'models', 'errors', 'utils'],
  openapi: ['strategies', 'schemas', 'config', 'models', 'errors'],
  context: [
    ...['jobs', 'services', 'strategies', 'datastores', 'db', 'crypto', 'auth'],
    ...['middleware', 'redis', 'observability', 'egress', 'config', 'utils'],
  ],
  routes: [
    ...['context', 'openapi', 'middleware', 'services', 'strategies', 'auth', 'tracing'],
    ...['schemas', 'config', 'models', 'errors', 'utils'],
  ],
  app: ['context', 'routes', 'middleware', 'errors'],
  lifecycle: ['context', 'db', 'observability', 'tracing', 'config', 'errors', 'utils'],
  server: ['app', 'lifecycle'],
  worker: ['app', 'lifecycle'],
  commands: [
    ...['lifecycle', 'context', 'services', 'strategies', 'observability', 'datastores', 'db'],
    ...['egress', 'schemas', 'crypto', 'config', 'models', 'utils'],
  ],
  migrations: ['db'],
  knexfile: ['config', 'db'],
};

/** Of these a layer may import only types. */
const ONLY_TYPES: Record<string, string[]> = { datastores: ['crypto'], observability: ['datastores'] };

/** The layers that may import each library. No layer imports any other. */
const LIBRARIES: Record<string, string[]> = {
  express: ['app', 'routes', 'middleware'],
  helmet: ['app'],
  cors: ['middleware'],
  cookie: ['routes', 'tracing'],
  pino: ['observability'],
  'pino-pretty': ['observability'],
  'intuit-oauth': ['strategies'],
  undici: ['egress', 'strategies', 'auth', 'services', 'jobs'],
  'raw-body': ['middleware'],
  'express-rate-limit': ['middleware'],
  'rate-limit-redis': ['middleware'],
  redis: ['redis'],
  jose: ['auth'],
  '@opentelemetry/api': ['tracing'],
  '@opentelemetry/exporter-trace-otlp-proto': ['tracing'],
  '@opentelemetry/instrumentation-http': ['tracing'],
  '@opentelemetry/instrumentation-mysql2': ['tracing'],
  '@opentelemetry/instrumentation-undici': ['tracing'],
  '@opentelemetry/sdk-node': ['tracing'],
  knex: ['db', 'datastores', 'migrations', 'knexfile'],
  libsql: ['db'],
  mysql2: ['db'],
  standardwebhooks: ['jobs'],
  commander: ['commands'],
  'cli-table3': ['commands'],
  'cli-progress': ['commands'],
  'csv-parse': ['commands'],
  'prom-client': ['observability'],
  zod: ['config', 'schemas', 'openapi', 'strategies', 'auth'],
  '@asteasolutions/zod-to-openapi': ['openapi'],
};

/** Time and chance, which only the clock may read. */
const CLOCK = 'src/utils/clock.ts';
const TIME =
  /\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b|\bset(?:Timeout|Interval|Immediate)\b|\bMath\.random\b|\bAbortSignal\.timeout\b/g;
/** Exceptions, each with its reason. */
const MAY_READ_TIME: Record<string, string[]> = {
  'src/crypto/fernet.ts': ['new Date()'], // the default of a parameter: a token's creation time, which nothing reads
  'src/db/mysql-client.ts': ['setTimeout'], // a socket's own limit of inactivity
  'src/lifecycle/connections.ts': ['setTimeout'], // a server's own limit of inactivity
  'src/db/migrations.ts': ['setTimeout'], // waits for another process, in commands that have no clock
  'src/observability/standard-output.ts': ['setImmediate'], // once per iteration of the event loop
  'src/middleware/rate-limit.ts': ['Date.now'], // express-rate-limit's stores count by the process's own time
};

interface Source {
  file: string;
  layer: string;
  text: string;
  imports: Import[];
}

interface Import {
  name: string;
  /** The layer of a relative import. */
  layer: string | undefined;
  isType: boolean;
}

const sources = ['src', 'migrations'].flatMap(filesIn).concat('knexfile.ts').map(readSource);

describe('the architecture', () => {
  it('has a layer for each file', () => {
    expect(sources.length).toBeGreaterThan(100);
    expect(sources.filter(({ layer }) => !MAY_IMPORT[layer]).map(({ file }) => file)).toEqual([]);
  });

  it('lets each layer import only lower ones', () => {
    const layers = Object.keys(MAY_IMPORT);
    const upward = layers.filter((layer, index) =>
      MAY_IMPORT[layer]?.some((imported) => !layers.slice(0, index).includes(imported)),
    );
    expect(upward).toEqual([]);
  });

  it('has no import outside these layers', () => {
    const wrong = sources.flatMap(({ file, layer, imports }) =>
      imports
        .filter((imported) => imported.layer && imported.layer !== layer)
        .filter(
          (imported) =>
            !MAY_IMPORT[layer]?.includes(imported.layer ?? '') ||
            (ONLY_TYPES[layer]?.includes(imported.layer ?? '') && !imported.isType),
        )
        .map(({ name }) => `${file} imports ${name}`),
    );
    expect(wrong).toEqual([]);
  });

  it('imports each library in one place', () => {
    const wrong = sources.flatMap(({ file, layer, imports }) =>
      librariesOf(imports)
        .filter((library) => !LIBRARIES[library]?.includes(layer))
        .map((library) => `${file} imports ${library}`),
    );
    expect(wrong).toEqual([]);
    const quickbooks = sources.filter(({ imports }) => librariesOf(imports).includes('intuit-oauth'));
    expect(quickbooks.map(({ file }) => dirname(file))).toEqual(['src/strategies/quickbooks']);
  });

  it('loads the client of Redis, half of all modules, only when it is used', () => {
    expect(filesWith(/from 'redis'/)).toEqual([]);
    expect(filesWith(/await import\('redis'\)/)).toEqual(['src/redis/redis-client.ts']);
  });

  it('declares each library that it imports', () => {
    const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    const declared = Object.keys({ ...dependencies, 'pino-pretty': devDependencies['pino-pretty'] });
    const used = sources.flatMap(({ imports }) => librariesOf(imports));
    expect([...new Set(used)].filter((name) => !declared.includes(name))).toEqual([]);
  });

  it('reads the clock, sets timers and draws random numbers only in utils/clock.ts', () => {
    const found = sources
      .filter(({ file }) => file !== CLOCK)
      .map(({ file, text }) => [file, [...new Set(text.match(TIME))]] as const)
      .filter(([, calls]) => calls.length > 0);
    expect(Object.fromEntries(found)).toEqual(MAY_READ_TIME);
  });

  it('reads the environment only in config/', () => {
    expect(filesWith(/process\.env|loadEnvFile/)).toEqual(['src/config/config.ts']);
    const others = filesWith(/\bprocess\.\w/).filter((file) => !/^src\/(lifecycle|commands)\/|^knexfile/.test(file));
    expect(others.sort()).toEqual([
      'src/config/config.ts',
      'src/observability/logger.ts',
      'src/observability/standard-output.ts',
    ]);
  });

  it('constructs its parts only in context.ts, the registry of providers and commands', () => {
    const parts =
      /new (?:\w+(?:Datastore|Service|Strategy|Manager|Refresher|Revoker|Job)|Health|Gateway|CompanyLimiter|Worker|TokenCipher|OAuthStates|ConnectLinks)\(/;
    expect(filesWith(parts).filter((file) => !file.startsWith('src/commands/'))).toEqual([
      'src/context.ts',
      'src/strategies/strategy-registry.ts',
    ]);
  });

  it('has no parameter properties, which Node cannot strip', () => {
    expect(filesWith(/constructor\([^)]*\b(?:private|public|protected|readonly) \w+\??:/)).toEqual([]);
  });

  it('imports files with their extension, and never writes to the console', () => {
    const incomplete = sources.flatMap(({ imports }) => imports.filter(({ name }) => /^\.(?!.*\.ts$)/.test(name)));
    expect(incomplete).toEqual([]);
    expect(filesWith(/\bconsole\./)).toEqual([]);
  });
});

function readSource(file: string): Source {
  const text = readFileSync(join(root, file), 'utf8');
  const imports = [...text.matchAll(/(?<!')(import type [^;]*?from|from|import)\s*\(?\s*'([^']+)'/g)];
  return {
    file,
    layer: layerOf(file),
    text,
    imports: imports.map(([, keyword = '', name = '']) => ({
      name,
      layer: name.startsWith('.') ? layerOf(relative(root, join(root, dirname(file), name))) : undefined,
      isType: keyword.startsWith('import type'),
    })),
  };
}

function filesIn(folder: string): string[] {
  const files = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
  return files.filter((file) => file.endsWith('.ts')).map((file) => join(folder, file));
}

function filesWith(pattern: RegExp): string[] {
  return sources.filter(({ text }) => pattern.test(text)).map(({ file }) => file);
}

/** `src/db/session.ts` → `db`; `src/app.ts` → `app`. */
function layerOf(file: string): string {
  return file.replace(/^src\//, '').replace(/[./].*$/, '');
}

/** `knex/types/tables.js` → `knex`. */
function librariesOf(imports: Import[]): string[] {
  return imports
    .filter(({ name }) => !/^(\.|node:)/.test(name))
    .map(({ name }) => name.replace(/^((?:@[^/]+\/)?[^/]+).*$/, '$1'));
}
