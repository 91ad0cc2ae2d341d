import { readdirSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { ERRORS } from '../src/errors.ts';
import { createMetrics } from '../src/observability/metrics.ts';
import { createSqlite } from './support/databases.ts';
import { call } from './support/gateway.ts';
import { useHarness } from './support/harness.ts';
import { PREFIX } from './support/requests.ts';
import { connect } from './support/service.ts';

const RUNBOOK = 'docs/operations/runbook.md';
const GUIDE = readdirSync('docs/operations').map((file) => readFileSync(`docs/operations/${file}`, 'utf8'));
const ALERTS: Alert[] = parse(readFileSync('deploy/monitoring/alerts.yml', 'utf8')).groups.flatMap(
  (group: Group) => group.rules,
);
const DASHBOARD: Dashboard = JSON.parse(readFileSync('deploy/monitoring/dashboard.json', 'utf8'));

/** Every PromQL expression of the alerts and the dashboard. */
const EXPRESSIONS = [
  ...ALERTS.map(({ alert, expr }) => [`the alert ${alert}`, expr]),
  ...DASHBOARD.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [`the panel ${title}`, expr])),
  ...DASHBOARD.templating.list.flatMap(({ name, definition }) => {
    const [, metric] = /^label_values\((.*), \w+\)$/.exec(definition ?? '') ?? [];
    return metric ? [[`the variable ${name}`, metric]] : [];
  }),
] as [string, string][];

describe('/metrics', () => {
  const harness = useHarness(createSqlite);
  let exposed: ExposedMetrics;

  beforeAll(async () => {
    exposed = new ExposedMetrics();
    const { service, simulator, home, knex } = harness;
    await connect(service, simulator, 'acme', { realmId: '1' });
    await harness.expire('acme');
    await call(service, 'acme');
    await fetch(`${service.origin}/v3/company/acme/companyinfo/1`);
    for (const path of [`${PREFIX}/status/acme`, '/healthz', '/readyz', '/metrics', '/nowhere']) {
      await fetch(`${service.origin}${path}`);
    }
    await home.worker.tick();
    await knex.schema.dropTable('oauth_states');
    await home.worker.tick(); // the clean-up job fails
    home.metrics.watchProcess();
    harness.clock.advance(1_000); // until then the earlier text is served
    exposed.add(await (await fetch(`${service.origin}/metrics`)).text());
    exposed.addErrors();
    for (const [, job = ''] of GUIDE.join('\n').matchAll(/job_name: ([\w-]+)/g)) exposed.addSample('up', { job });
  });

  it.each(EXPRESSIONS)('has every metric and label of %s', (_name, expression) => {
    const selectors = selectorsOf(expression);
    expect(selectors).not.toEqual([]);
    expect(selectors.flatMap((selector) => exposed.missing(selector))).toEqual([]);
    const grouping = [...expression.matchAll(GROUPING)].flatMap(([, , labels = '']) => labels.split(/,\s*/));
    expect(grouping.filter((label) => !exposed.labels.has(label))).toEqual([]);
  });
});

describe('the dashboard', () => {
  it('shows the processes of both jobs', () => {
    const selectors = EXPRESSIONS.filter(([name]) => name.startsWith('the panel')).flatMap(([, expression]) =>
      selectorsOf(expression),
    );
    const ofProcesses = selectors.filter(({ metric }) => /^(process|nodejs)_/.test(metric));
    expect(ofProcesses.length).toBeGreaterThan(3);
    for (const { matchers } of ofProcesses) {
      expect(matchers).toContainEqual({ label: 'job', isPattern: true, value: 'accounting|accounting-worker' });
    }
  });

  it('shows a database that only processes of the other job can read as down', () => {
    const expression = EXPRESSIONS.find(([name]) => name === 'the panel Database')?.[1];
    expect(expression).toBe('min by (job) (accounting_database_up)');
  });
});

describe('the operations guide', () => {
  it.each(ALERTS.map((alert) => [alert.alert, alert] as const))('explains the alert %s', (name, alert) => {
    expect(readFileSync(RUNBOOK, 'utf8')).toMatch(new RegExp(`^### ${name}$`, 'm'));
    expect(alert.annotations).toEqual({
      summary: expect.any(String),
      description: expect.any(String),
      runbook_url: `${RUNBOOK}#${name.toLowerCase()}`,
    });
    expect(['page', 'ticket']).toContain(alert.labels['severity']);
  });

  it('explains every metric of the service', async () => {
    const names = [...(await createMetrics().text()).matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name);
    const explained = new Set([...GUIDE.join('\n').matchAll(/^\| `(\w+)/gm)].map(([, name]) => name));
    expect(names.length).toBeGreaterThan(10);
    expect(names.filter((name) => !explained.has(name))).toEqual([]);
  });
});

/** The metrics of a service, with the values of their labels. */
class ExposedMetrics {
  private readonly values = new Map<string, Map<string, Set<string>>>();
  readonly labels = new Set(['instance']);

  add(text: string): void {
    for (const [, name = '', labels = ''] of text.matchAll(/^([a-z]\w*)(\{.*\})? \S+$/gm)) {
      const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, label = '', value = '']) => [label, value]);
      this.addSample(name, Object.fromEntries(pairs));
    }
  }

  /** Adds the errors that did not occur here. */
  addErrors(): void {
    for (const [outcome, { status }] of Object.entries(ERRORS)) {
      this.addSample('accounting_callbacks_total', { outcome });
      this.addSample('http_request_duration_seconds_count', { status: String(status) });
    }
  }

  addSample(name: string, labels: Record<string, string>): void {
    const known = this.values.get(name) ?? new Map<string, Set<string>>();
    this.values.set(name, known);
    for (const [label, value] of Object.entries(labels)) {
      this.labels.add(label);
      known.set(label, (known.get(label) ?? new Set()).add(value));
    }
  }

  /** Returns what a selector names that the service does not have. */
  missing({ metric, matchers }: Selector): string[] {
    const known = this.values.get(metric);
    if (!known) return [metric];
    return matchers.flatMap(({ label, isPattern, value }) => {
      if (value.startsWith('$')) return this.labels.has(label) ? [] : [`${metric}.${label}`];
      const existing = [...((label === 'job' ? this.values.get('up') : known)?.get(label) ?? [])];
      const expected = isPattern ? value.split('|') : [value];
      const exists = (text: string) =>
        existing.some((other) => (isPattern ? new RegExp(`^(?:${text})$`).test(other) : text === other));
      return expected.filter((text) => !exists(text)).map((text) => `${metric}{${label}="${text}"}`);
    });
  }
}

interface Selector {
  metric: string;
  matchers: { label: string; isPattern: boolean; value: string }[];
}

/** Every word of a PromQL expression that is no function, keyword, range or grouping is the name of a metric. */
function selectorsOf(expression: string): Selector[] {
  const bare = expression.replace(GROUPING, ' ').replace(/\[[^\]]*\]|\boffset \S+|\b(and|or|unless|bool)\b/g, ' ');
  const selectors = bare.matchAll(/(?<![\w.])([a-zA-Z_:][\w:]*)\b(?!\s*\()(\{(?:[^"}]|"[^"]*")*\})?/g);
  return [...selectors].map(([, metric = '', matchers = '']) => ({
    metric,
    matchers: [...matchers.matchAll(/(\w+)\s*(=~|!~|!?=)\s*"([^"]*)"/g)].map(
      ([, label = '', operator = '', value = '']) => ({
        label,
        isPattern: operator.endsWith('~'),
        value,
      }),
    ),
  }));
}

const GROUPING = /\b(by|without|on|ignoring)\s*\(([^)]*)\)/g;

type Group = { rules: Alert[] };
type Alert = { alert: string; expr: string; labels: Record<string, string>; annotations: Record<string, string> };
type Dashboard = {
  panels: { title: string; targets?: { expr: string }[] }[];
  templating: { list: { name: string; definition?: string }[] };
};
