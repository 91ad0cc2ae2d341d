import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { STATUS } from '../src/middleware/error-handler.ts';
import { createMetrics } from '../src/observability/metrics.ts';
import { createSqlite } from './support/databases.ts';
import { call, expire } from './support/gateway.ts';
import { PREFIX } from './support/requests.ts';
import { connect } from './support/service.ts';
import { useStage } from './support/stage.ts';

const OPERATIONS = readFileSync('docs/operations.md', 'utf8');
const ALERTS: Alert[] = parse(readFileSync('deploy/monitoring/alerts.yml', 'utf8')).groups.flatMap(
  (group: Group) => group.rules,
);
const DASHBOARD: Dashboard = JSON.parse(readFileSync('deploy/monitoring/dashboard.json', 'utf8'));
const ASKED = [
  ...ALERTS.map(({ alert, expr }) => [`the alert ${alert}`, expr]),
  ...DASHBOARD.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [`the panel ${title}`, expr])),
  ...DASHBOARD.templating.list.flatMap(({ name, definition }) => {
    const [, metric] = /^label_values\((.*), \w+\)$/.exec(definition ?? '') ?? [];
    return metric ? [[`the variable ${name}`, metric]] : [];
  }),
] as [string, string][];

describe('/metrics', () => {
  const stage = useStage(createSqlite);
  let shown: ShownMetrics;

  beforeAll(async () => {
    shown = new ShownMetrics();
    const { service, simulator } = stage;
    await connect(service, simulator, 'acme', { realmId: '1' });
    await expire(stage, 'acme');
    await call(service, 'acme');
    await fetch(`${service.origin}/v3/company/acme/companyinfo/1`);
    for (const path of [`${PREFIX}/status/acme`, '/healthz', '/readyz', '/metrics', '/nowhere']) {
      await fetch(`${service.origin}${path}`);
    }
    await service.context.worker.tick();
    await stage.knex.schema.dropTable('oauth_states');
    await service.context.worker.tick(); // its clean-up fails now
    service.context.metrics.watchProcess();
    shown.add(await (await fetch(`${service.origin}/metrics`)).text());
    shown.addErrors();
    for (const [, job] of OPERATIONS.matchAll(/job_name: (\w+)/g)) shown.addSample('up', { job: job ?? '' });
  });

  it.each(ASKED)('shows what %s asks for', (_name, expression) => {
    const selectors = selectorsOf(expression);
    expect(selectors).not.toEqual([]);
    expect(selectors.flatMap((selector) => shown.lacks(selector))).toEqual([]);
    const grouping = [...expression.matchAll(GROUPING)].flatMap(([, , labels = '']) => labels.split(/,\s*/));
    expect(grouping.filter((label) => !shown.labels.has(label))).toEqual([]);
  });
});

describe('docs/operations.md', () => {
  it.each(ALERTS.map((alert) => [alert.alert, alert] as const))('says what to do about %s', (name, alert) => {
    expect(OPERATIONS).toMatch(new RegExp(`^### ${name}$`, 'm'));
    expect(alert.annotations).toEqual({
      summary: expect.any(String),
      description: expect.any(String),
      runbook_url: `docs/operations.md#${name.toLowerCase()}`,
    });
    expect(['page', 'ticket']).toContain(alert.labels['severity']);
  });

  it('explains every metric of this service', async () => {
    const names = [...(await createMetrics().text()).matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name);
    const explained = new Set([...OPERATIONS.matchAll(/^\| `(\w+)/gm)].map(([, name]) => name));
    expect(names.length).toBeGreaterThan(10);
    expect(names.filter((name) => !explained.has(name))).toEqual([]);
  });
});

/** What `/metrics` shows. */
class ShownMetrics {
  private readonly values = new Map<string, Map<string, Set<string>>>();
  readonly labels = new Set(['instance']);

  add(text: string): void {
    for (const [, name = '', labels = ''] of text.matchAll(/^([a-z]\w*)(\{.*\})? \S+$/gm)) {
      const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, label = '', value = '']) => [label, value]);
      this.addSample(name, Object.fromEntries(pairs));
    }
  }

  /** Every error may be met, though not every one was. */
  addErrors(): void {
    for (const [outcome, status] of Object.entries(STATUS)) {
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

  /** What a selector asks for in vain. */
  lacks({ metric, matchers }: Selector): string[] {
    const known = this.values.get(metric);
    if (!known) return [metric];
    return matchers.flatMap(({ label, isPattern, value }) => {
      if (value.startsWith('$')) return this.labels.has(label) ? [] : [`${metric}.${label}`];
      const there = [...((label === 'job' ? this.values.get('up') : known)?.get(label) ?? [])];
      const wanted = isPattern ? value.split('|') : [value];
      const isThere = (one: string) =>
        there.some((it) => (isPattern ? new RegExp(`^(?:${one})$`).test(it) : one === it));
      return wanted.filter((one) => !isThere(one)).map((one) => `${metric}{${label}="${one}"}`);
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
