import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { environmentSchema } from '../src/config/environment-schema.ts';
import { type KubernetesResource, validateResource } from './support/kubernetes-schemas.ts';

const FOLDER = 'deploy/kubernetes';
const RESOURCES: Resource[] = readdirSync(FOLDER)
  .flatMap((file) => parseAllDocuments(readFileSync(`${FOLDER}/${file}`, 'utf8')))
  .map((document) => document.toJS());
const POD_OWNERS = RESOURCES.filter(({ spec }) => spec.template).map(
  (resource) => [nameOf(resource), resource] as const,
);
const PODS = POD_OWNERS.map(([, { spec }]) => spec.template as Pod);

describe('deploy/kubernetes', () => {
  it('has two replicas, a worker, a migration, and what protects and watches them', () => {
    expect(RESOURCES.map(nameOf).sort()).toEqual([
      'Deployment accounting-integration',
      'Deployment accounting-integration-worker',
      'Job accounting-integration-migrate',
      'NetworkPolicy accounting-integration',
      'PodDisruptionBudget accounting-integration',
      'Service accounting-integration',
      'Service accounting-integration-metrics',
      'Service accounting-integration-worker-metrics',
      'ServiceMonitor accounting-integration',
    ]);
    expect(find('Deployment accounting-integration').spec.replicas).toBe(2);
    expect(find('Job accounting-integration-migrate').spec.template?.spec.containers[0]?.command).toEqual([
      'npx',
      'knex',
      'migrate:latest',
    ]);
  });

  it.each(RESOURCES.map((resource) => [nameOf(resource), resource] as const))(
    'matches the schema of %s',
    (_, resource) => {
      validateResource(resource);
    },
  );

  it.each([
    ['a wrong type', '/spec/replicas', { replicas: 'two' }],
    ['a misspelled name', '/spec/replica', { replica: 2 }],
  ])('would find %s', (_, path, spec) => {
    const deployment = find('Deployment accounting-integration');
    expect(() => validateResource({ ...deployment, spec: { ...deployment.spec, ...spec } } as never)).toThrow(path);
  });

  it.each(POD_OWNERS)('runs %s without privileges, and with limits', (_, { spec }) => {
    const pod = spec.template?.spec;
    const [container] = pod?.containers ?? [];
    expect(pod).toMatchObject({
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: { runAsNonRoot: true, runAsUser: 1000 },
    });
    expect(container).toMatchObject({
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      },
      resources: { limits: { memory: expect.stringMatching(/Mi$/) } },
    });
    const known = [...Object.keys(environmentSchema(true).shape), 'npm_config_cache'];
    expect(container?.env.map(({ name }) => name).filter((name) => !known.includes(name))).toEqual([]);
  });

  it.each(POD_OWNERS.filter(([name]) => name.startsWith('Deployment')))(
    'lets %s finish its work, and never restarts it because of its database',
    (_, { spec }) => {
      const pod = spec.template?.spec;
      const [container] = pod?.containers ?? [];
      const delayMs = Number(container?.env.find(({ name }) => name === 'SHUTDOWN_DELAY_MS')?.value ?? 0);
      expect((pod?.terminationGracePeriodSeconds ?? 0) * 1000).toBeGreaterThan(delayMs + 15_000);
      expect([container?.livenessProbe?.httpGet.path, container?.readinessProbe?.httpGet.path]).toEqual([
        '/healthz',
        '/readyz',
      ]);
      const command = container?.command?.join(' ') ?? imageCommand();
      const [, heapMb, script = ''] = /--max-old-space-size=(\d+) dist\/(\S+)\.js$/.exec(command) ?? [];
      expect(Number.parseInt(container?.resources.limits.memory ?? '', 10)).toBeGreaterThan(Number(heapMb) * 1.4);
      expect(existsSync(`${script}.ts`)).toBe(true);
    },
  );

  it('selects pods that exist, at ports that they have', () => {
    const selecting = RESOURCES.filter(({ kind }) => kind === 'Service' || kind === 'PodDisruptionBudget');
    for (const { kind, spec } of selecting) {
      const labels = kind === 'Service' ? spec.selector : spec.selector?.['matchLabels'];
      const selected = PODS.filter(({ metadata }) => matches(metadata.labels, labels as Labels));
      expect(selected).toHaveLength(1);
      const names = selected[0]?.spec.containers[0]?.ports.map(({ name }) => name);
      for (const { targetPort } of spec.ports ?? []) expect(names).toContain(targetPort);
    }
  });

  it('scrapes the jobs that the alert rules name', () => {
    const jobs = RESOURCES.map(({ metadata }) => metadata.labels?.['job']).filter(Boolean);
    expect(jobs).toEqual(['accounting', 'accounting-worker']);
    const alerts = readFileSync('deploy/monitoring/alerts.yml', 'utf8');
    expect(alerts).toContain(`up{job=~"${jobs.join('|')}"}`);
  });
});

function nameOf({ kind, metadata }: Resource): string {
  return `${kind} ${metadata.name}`;
}

function find(name: string): Resource {
  const resource = RESOURCES.find((candidate) => nameOf(candidate) === name);
  if (!resource) throw new Error(`there is no ${name}`);
  return resource;
}

function matches(labels: Labels, selector: Labels): boolean {
  return Object.entries(selector).every(([name, value]) => labels[name] === value);
}

/** The command of the image. */
function imageCommand(): string {
  const [, command = '[]'] = /^CMD (\[.*\])$/m.exec(readFileSync('Dockerfile', 'utf8')) ?? [];
  return JSON.parse(command).join(' ');
}

type Labels = Record<string, string>;
interface Resource extends KubernetesResource {
  metadata: { name: string; labels?: Labels };
  spec: {
    replicas?: number;
    template?: Pod;
    selector?: Labels | { matchLabels: Labels };
    ports?: { targetPort: string }[];
  };
}
interface Pod {
  metadata: { labels: Labels };
  spec: { terminationGracePeriodSeconds?: number; containers: Container[] };
}
interface Container {
  command?: string[];
  env: { name: string; value?: string }[];
  ports: { name: string }[];
  livenessProbe?: { httpGet: { path: string } };
  readinessProbe?: { httpGet: { path: string } };
  resources: { limits: { memory: string } };
}
