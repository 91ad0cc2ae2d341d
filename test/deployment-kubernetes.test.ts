import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { environmentSchema } from '../src/config/environment-schema.ts';
import { type KubernetesResource, validateResource } from './support/kubernetes-schemas.ts';

const FOLDER = 'deploy/kubernetes';
const RESOURCES: Resource[] = readdirSync(FOLDER, { encoding: 'utf8', recursive: true })
  .filter((file) => file.endsWith('.yaml'))
  .flatMap((file) => parseAllDocuments(readFileSync(`${FOLDER}/${file}`, 'utf8')))
  .map((document) => document.toJS());
const PODS = RESOURCES.flatMap((resource) => podsOf(resource).map((pod) => [nameOf(resource), pod] as const));

describe('deploy/kubernetes', () => {
  it('has two replicas, a worker, a migration, a pod for operators, and what protects and watches them', () => {
    expect(RESOURCES.map(nameOf).sort()).toEqual([
      'Deployment accounting-integration',
      'Deployment accounting-integration-worker',
      'Job accounting-integration-migrate',
      'NetworkPolicy accounting-integration',
      'Pod accounting-integration-operator',
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

  it.each(PODS)('runs %s without privileges, and with limits', (_, { spec }) => {
    const [container] = spec.containers;
    expect(spec).toMatchObject({
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
    expect(container?.env?.filter(({ name }) => !known.includes(name)) ?? []).toEqual([]);
  });

  it.each(PODS.filter(([name]) => name.startsWith('Deployment')))(
    'lets %s finish its work, and never restarts it because of its database',
    (_, { spec }) => {
      const [container] = spec.containers;
      const delayMs = Number(container?.env?.find(({ name }) => name === 'SHUTDOWN_DELAY_MS')?.value ?? 0);
      expect((spec.terminationGracePeriodSeconds ?? 0) * 1000).toBeGreaterThan(delayMs + 15_000);
      expect([container?.livenessProbe?.httpGet.path, container?.readinessProbe?.httpGet.path]).toEqual([
        '/healthz',
        '/readyz',
      ]);
      const command = container?.command?.join(' ') ?? imageCommand();
      const [, oldMb, semiMb, script = ''] =
        /--max-old-space-size=(\d+) --max-semi-space-size=(\d+) dist\/(\S+)\.js$/.exec(command) ?? [];
      // V8's limit includes two semi-spaces, and as much as one for new large objects.
      const heapMb = Number(oldMb) + 3 * Number(semiMb);
      expect(Number.parseInt(container?.resources.limits.memory ?? '', 10)).toBeGreaterThan(heapMb * 1.3);
      expect(existsSync(`${script}.ts`)).toBe(true);
    },
  );

  it('selects pods that exist, at ports that they have', () => {
    const selecting = RESOURCES.filter(({ kind }) => kind === 'Service' || kind === 'PodDisruptionBudget');
    for (const { kind, spec } of selecting) {
      const labels = kind === 'Service' ? spec.selector : spec.selector?.['matchLabels'];
      const selected = PODS.filter(([, { metadata }]) => matches(metadata.labels, labels as Labels));
      expect(selected).toHaveLength(1);
      const names = selected[0]?.[1].spec.containers[0]?.ports?.map(({ name }) => name);
      for (const { targetPort } of spec.ports ?? []) expect(names).toContain(targetPort);
    }
  });

  it('lets operators run commands with the variables of the service, in a pod that nothing sends requests', () => {
    const [container] = podsOf(find('Pod accounting-integration-operator'))[0]?.spec.containers ?? [];
    const [service] = podsOf(find('Deployment accounting-integration'))[0]?.spec.containers ?? [];
    expect([container?.image, container?.envFrom]).toEqual([service?.image, service?.envFrom]);
    expect(find('Pod accounting-integration-operator').spec).toMatchObject({
      restartPolicy: 'Never',
      containers: [{ volumeMounts: [{ name: 'import', mountPath: '/import' }] }],
      volumes: [{ name: 'import', emptyDir: {} }],
    });
    expect(readdirSync(FOLDER)).not.toContain('pod.yaml'); // `kubectl apply -f deploy/kubernetes/` creates no such pod
    const { labels } = find('Pod accounting-integration-operator').metadata;
    const policy = find('NetworkPolicy accounting-integration').spec as { podSelector?: { matchLabels: Labels } };
    expect(matches(labels ?? {}, policy.podSelector?.matchLabels ?? {})).toBe(true);
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

/** The pod that a resource is, or those that it creates. */
function podsOf({ kind, metadata, spec }: Resource): Pod[] {
  if (kind === 'Pod') return [{ metadata, spec } as Pod];
  return spec.template ? [spec.template] : [];
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
    containers?: Container[];
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
  image: string;
  command?: string[];
  env?: { name: string; value?: string }[];
  envFrom?: unknown[];
  ports?: { name: string }[];
  livenessProbe?: { httpGet: { path: string } };
  readinessProbe?: { httpGet: { path: string } };
  resources: { limits: { memory: string } };
}
