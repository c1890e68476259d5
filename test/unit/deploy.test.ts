/** What is shipped for operators names only what is there: metrics of the catalogue, headings of the runbook. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { parseCommandLine } from '../../src/commands/table.ts';
import { parseConfig } from '../../src/config.ts';
import { errorCodes } from '../../src/core/errors.ts';
import { catalogue } from '../../src/runtime/metrics-catalogue.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const metrics = new Map(catalogue.map((metric) => [metric.name, metric]));
const alwaysThere = new Set(['pipeline', 'instance', 'job']);

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly runbook_url: string };
}
const rules = (parse(read('deploy/prometheus/rules.yml')) as { groups: { rules: Rule[] }[] }).groups.flatMap((group) => group.rules);

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly type: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string; readonly refId: string }[];
}
interface Dashboard {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly query: unknown }[] };
  readonly annotations: { readonly list: readonly { readonly expr: string }[] };
}
const dashboard = JSON.parse(read('deploy/grafana/crossfade.json')) as Dashboard;
const shown = dashboard.panels.flatMap(({ title, targets = [] }) => targets.map((target) => ({ title, ...target })));

const namesIn = (text: string) => [...text.matchAll(/\bcrossfade_[a-z_]+/g)].map(([name]) => name);
/** Labels that an expression asks for, in braces and behind `by` and `on`. */
const labelsIn = (expr: string) => [
  ...[...expr.matchAll(/([a-z]+)\s*(?:=~|!=|=)\s*"/g)].map(([, label]) => label ?? ''),
  ...[...expr.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(', ')),
];
function unknownIn(expr: string): string[] {
  const names = namesIn(expr);
  const labels = new Set([...alwaysThere, ...names.flatMap((name) => metrics.get(name)?.labels ?? [])]);
  return [...names.filter((name) => !metrics.has(name)), ...labelsIn(expr).filter((label) => !labels.has(label))];
}

describe('the rules for Prometheus', () => {
  test.each(rules.map((rule) => [rule.alert, rule] as const))(
    '%s names metrics and labels that exist, and a heading of the runbook',
    (_, rule) => {
      expect(unknownIn(rule.expr)).toEqual([]);
      expect(rule.labels.severity).toMatch(/^(page|warning)$/);
      const [file, anchor] = rule.annotations.runbook_url.split('#');
      expect(file).toBe('docs/runbook.md');
      if (anchor?.includes('toLower') === true) expect(rule.expr).toContain('by (pipeline, part, code)');
      else expect(headings()).toContain(anchor);
    },
  );
  test('an alert that leads to an error code finds its heading', () => {
    for (const code of errorCodes) expect(headings()).toContain(code.toLowerCase());
  });
  test('every alert is tried by the tests of promtool', () => {
    const tests = read('deploy/prometheus/rules.test.yml');
    for (const { alert } of rules) expect(tests).toMatch(new RegExp(`alertname: ${alert}\\n\\s+exp_alerts:\\n`));
  });
  test('the reader of expressions sees what is not there', () => {
    expect(unknownIn('max by (servise) (crossfade_lag_secondz{tabel="x"})')).toEqual(['crossfade_lag_secondz', 'tabel', 'servise']);
  });
});

describe('the dashboard for Grafana', () => {
  test('every panel asks for metrics and labels that exist', () => {
    expect(shown.length).toBeGreaterThan(30);
    for (const { title, expr } of shown) expect(unknownIn(expr), title).toEqual([]);
    for (const { expr } of dashboard.annotations.list) expect(unknownIn(expr)).toEqual([]);
    for (const { query } of dashboard.templating.list)
      for (const name of namesIn(JSON.stringify(query))) expect([...metrics.keys()]).toContain(name);
  });
  test('a legend names labels that the expression keeps', () => {
    for (const { title, expr, legendFormat } of shown) {
      const kept = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(', '));
      const all = kept.length > 0 ? kept : [...alwaysThere, ...namesIn(expr).flatMap((name) => metrics.get(name)?.labels ?? [])];
      for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) expect(all, title).toContain(label);
    }
  });
  test('every metric is shown somewhere', () => {
    const all = new Set(shown.flatMap(({ expr }) => namesIn(expr)));
    expect([...metrics.keys()].filter((name) => !all.has(name))).toEqual([]);
  });
  test('no panel lies on another, and each has a number of its own', () => {
    const { panels } = dashboard;
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const cells = new Set<string>();
    for (const { title, gridPos } of panels)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          expect(x, title).toBeLessThan(24);
          expect(cells.has(`${x} ${y}`), title).toBe(false);
          cells.add(`${x} ${y}`);
        }
  });
});

test('the example for Kubernetes: a configuration that is right, flags and ports that fit together', () => {
  const [map, set] = parseAllDocuments(read('deploy/kubernetes/crossfade.yaml')).map((document) => document.toJS() as unknown) as [
    { data: Record<string, string> },
    { spec: { template: { spec: { containers: Container[] } } } },
  ];
  const environment = { MYSQL_PASSWORD: 'a', ORDERS_PASSWORD: 'b' };
  const reading = parseConfig(map.data['crossfade.yaml'] ?? '', '/etc/crossfade/crossfade.yaml', {
    environment,
    readSecret: () => undefined,
  });
  expect(reading).toHaveProperty('config');
  for (const { args, ports, livenessProbe, readinessProbe } of set.spec.template.spec.containers) {
    const { flags } = parseCommandLine(args);
    expect(flags.text('http')).toBe(`0.0.0.0:${ports[0]?.containerPort}`);
    expect([livenessProbe.httpGet, readinessProbe.httpGet]).toEqual([
      { path: '/livez', port: ports[0]?.name },
      { path: '/readyz', port: ports[0]?.name },
    ]);
  }
});

interface Container {
  readonly args: readonly string[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly livenessProbe: { readonly httpGet: object };
  readonly readinessProbe: { readonly httpGet: object };
}

/** As the web shows them: lower case, spaces as hyphens. */
function headings(): string[] {
  return [...read('docs/runbook.md').matchAll(/^#+ (.+)$/gm)].map(([, text = '']) =>
    text
      .toLowerCase()
      .replace(/[^a-z0-9 _-]/g, '')
      .replaceAll(' ', '-'),
  );
}
