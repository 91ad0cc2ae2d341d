import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { loadConfig } from '../src/config/config.ts';
import { DEFAULT_KEEP_ALIVE_MS, environmentSchema } from '../src/config/environment-schema.ts';
import { MAX_GATEWAY_BODY_BYTES } from '../src/models/body-limits.ts';
import { PRODUCTION } from './support/variables.ts';

const manifest = JSON.parse(read('package.json'));
const example = Object.fromEntries([...read('.env.example').matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, ...pair]) => pair));

describe('compose.yaml', () => {
  const { services } = parse(read('compose.yaml').replaceAll(/\$\{MYSQL_(?:MIGRATE_)?PASSWORD:[^}]*\}/g, 'password'), {
    merge: true,
  });
  const given: Record<string, string> = services.service.environment;

  it('sets only variables that the service has', () => {
    const known = ['MYSQL_MIGRATE_PASSWORD', ...Object.keys(environmentSchema(true, {}).shape)];
    expect(Object.keys(given).filter((name) => !known.includes(name))).toEqual([]);
  });

  it('runs in production with a copy of .env.example to which the secrets were added', () => {
    const { NODE_ENV, DATABASE_URL, ...secrets } = PRODUCTION;
    expect(loadConfig({ ...example, ...secrets, ...given })).toMatchObject({
      production: true,
      server: { host: '0.0.0.0', port: 8080 },
      database: { client: 'mysql', user: 'accounting', password: 'password', host: 'mysql', name: 'accounting' },
      rateLimits: { redis: { addresses: [{ host: 'redis', port: 6379 }] } },
      trustProxy: 1,
    });
  });

  it('migrates as one database user, and serves as another, who cannot migrate and does not know the other’s password', () => {
    const { migrate, mysql } = services;
    expect(migrate.environment).toEqual({
      DATABASE_URL: 'mysql://accounting_migrate:password@mysql:3306/accounting',
    });
    expect(mysql.environment).toMatchObject({ MYSQL_USER: 'accounting_migrate', MYSQL_DATABASE: 'accounting' });
    expect(given['MYSQL_MIGRATE_PASSWORD']).toBe('');
    const [script = ''] = mysql.volumes.find((volume: string) => volume.includes('initdb.d')).split(':');
    const grants = read(script).match(/^GRANT .*;$/gm);
    expect(grants).toEqual(["GRANT SELECT, INSERT, UPDATE, DELETE ON accounting.* TO accounting@'%';"]);
    expect(read('docs/operations/deployment.md')).toContain(grants?.[0]);
  });

  it('starts the service after the migration, and waits longer for it to stop than a shutdown takes', () => {
    expect(services.service.depends_on.migrate).toEqual({ condition: 'service_completed_successfully' });
    expect(services.migrate).toMatchObject({ command: ['npm', 'run', 'migrate'], restart: 'no' });
    expect(Number.parseInt(services.service.stop_grace_period, 10)).toBeGreaterThan(15);
  });
});

describe('the commands for operators in the image', () => {
  const guide = ['import', 'kubernetes', 'runbook'].map((name) => read(`docs/operations/${name}.md`)).join('\n');
  const commands = [...guide.matchAll(/\b(?:docker (?:compose )?run|kubectl exec)\b[^`]*? connections -*\w*/g)].map(
    ([command]) => command.replaceAll(/\s*\\\n\s*/g, ' '),
  );

  it('run in the service of compose.yaml or in the pod for operators, and without npm, which would kill them at SIGTERM', () => {
    expect(commands).toHaveLength(4);
    const compose =
      /docker compose run --rm --no-deps (?:--user "\$\(id -u\):\$\(id -g\)" -v "\$PWD:\/import" )?service/;
    const pod = /kubectl exec -it accounting-integration-operator --/;
    const expected = new RegExp(`^(?:${compose.source}|${pod.source}) node bin/run\\.js connections (?:list|import)$`);
    for (const command of commands) expect(command).toMatch(expected);
  });
});

describe('deploy/nginx.conf', () => {
  const settings = read('deploy/nginx.conf').replaceAll(/#.*$/gm, '');

  it('forwards to the service, with the same limit for bodies', () => {
    expect(settings).toMatch(/server service:8080 resolve/);
    expect(settings).toMatch(`client_max_body_size ${MAX_GATEWAY_BODY_BYTES / 1024 / 1024}m;`);
  });

  it('closes idle connections to a replica before the replica does', () => {
    const [, seconds] = /keepalive_timeout (\d+)s;/.exec(settings) ?? [];
    expect(Number(seconds) * 1000).toBeLessThan(DEFAULT_KEEP_ALIVE_MS);
  });

  it('logs no query, which can contain a code, a state or a link', () => {
    const [format = '', name] = /log_format (\w+)[^;]*;/.exec(settings) ?? [];
    expect(format).toMatch(/\$path\b/);
    expect(settings).toMatch(/map \$request_uri \$path \{\s*"~\^\(\?<before_query>\[\^\?\]\*\)" \$before_query;\s*\}/);
    expect(format).not.toMatch(/\$(?:request|request_uri|args|query_string|arg_\w+|http_referer|http_cookie)\b/);
    expect(settings.match(/access_log [^;]*/g)).toEqual([`access_log /dev/stdout ${name}`]);
  });
});

describe('the image', () => {
  const stages = read('Dockerfile')
    .split(/^FROM /m)
    .slice(1);
  const copied = stages.flatMap((stage) => [...stage.matchAll(/^COPY (?!--from)(.+) \S+$/gm)]);
  const sources = copied.flatMap(([, names = '']) => names.split(' '));

  it('is built from exactly the files in the build context', () => {
    const included = [...read('.dockerignore').matchAll(/^!(.+)$/gm)].map(([, name]) => name);
    expect(included.sort()).toEqual([...new Set(sources)].sort());
    expect(sources).toEqual(expect.arrayContaining(JSON.parse(read('tsconfig.build.json')).include));
  });

  it('begins with one base image, named by its digest', () => {
    const bases = new Set(stages.map((stage) => stage.split(/\s/)[0]));
    expect([...bases]).toEqual([expect.stringMatching(/^node:24\.\d+\.\d+-bookworm-slim@sha256:[0-9a-f]{64}$/)]);
  });

  it('contains what its commands run', () => {
    const scripts = [manifest.scripts.start, manifest.scripts.worker, manifest.scripts.migrate];
    const files = scripts.flatMap((script: string) =>
      [...script.matchAll(/ (?:\.\/)?([^ ./]+)\/\S+\.js/g)].map(([, folder]) => folder),
    );
    const contained = [...(stages.at(-1) ?? '').matchAll(/^COPY .* (\S+)$/gm)].map(([, name]) => name);
    expect(contained).toEqual(expect.arrayContaining(['./', 'node_modules', ...files]));
    expect(stages.at(-1)).toContain(`CMD ${JSON.stringify(manifest.scripts.start.split(' ')).replaceAll(',', ', ')}`);
  });

  it('does not open a debugger at a signal', () => {
    expect(stages.at(-1)).toMatch(/^ENV .*\bNODE_OPTIONS=--disable-sigusr1$/m);
  });

  it('has a version of Node that the service supports', () => {
    const [, oldest] = /^>=(\d+)\./.exec(manifest.engines.node) ?? [];
    for (const stage of stages) expect(Number(/^node:(\d+)\./.exec(stage)?.[1])).toBeGreaterThan(Number(oldest));
  });
});

describe('package-lock.json', () => {
  const packages: Record<string, { hasInstallScript?: boolean; deprecated?: string }> = JSON.parse(
    read('package-lock.json'),
  ).packages;
  const entries = Object.entries(packages).map(([path, entry]) => ({
    ...entry,
    name: path.replace(/^.*node_modules\//, ''),
  }));

  it('has no install script that must run, and no deprecated package', () => {
    const withScript = entries.filter(({ hasInstallScript }) => hasInstallScript).map(({ name }) => name);
    expect(withScript.filter((name) => manifest.allowScripts[name] !== false)).toEqual([]);
    expect(entries.filter(({ deprecated }) => deprecated)).toEqual([]);
  });

  it('has SQLite’s driver as a binary for every platform', () => {
    const { optionalDependencies } = packages['node_modules/libsql'] as { optionalDependencies: object };
    const binaries = Object.keys(optionalDependencies);
    expect(binaries.length).toBeGreaterThan(5);
    expect(entries.map(({ name }) => name)).toEqual(expect.arrayContaining(binaries));
  });
});

function read(file: string): string {
  return readFileSync(new URL(`../${file}`, import.meta.url), 'utf8');
}
