/** The rules that are shipped, judged by Prometheus's own tool. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { type Command, run } from '../../stack/command.ts';
import { promtool } from '../../stack/promtool.ts';

const folder = fileURLToPath(new URL('../../deploy/prometheus', import.meta.url));
let toolFor: (args: readonly string[], cwd: string) => Promise<Command>;

beforeAll(async () => {
  toolFor = async (args, cwd) => ({ ...(await promtool(args, () => undefined)), cwd });
  // Downloads it where it is not installed.
  await run(await toolFor(['--version'], folder));
}, 300_000);

test('promtool check rules', async () => {
  expect(await run(await toolFor(['check', 'rules', 'rules.yml'], folder))).toContain('SUCCESS: 16 rules found');
});
test('promtool check config', async () => {
  expect(await run(await toolFor(['check', 'config', 'prometheus.yml'], folder))).toContain('SUCCESS');
});
test('promtool test rules: every alert comes in time, and none while all is well', async () => {
  expect(await run(await toolFor(['test', 'rules', 'rules.test.yml'], folder))).toContain('SUCCESS');
});

test.each([
  ['an alert that comes too early', /for: 15s/, 'for: 0s'],
  ['a threshold that is never met', /complete_age_seconds\) > 30/, 'complete_age_seconds) > 3000'],
  ['an alert while all is well', /quarantined_changes\) > 0/, 'quarantined_changes) >= 0'],
])('the tests find %s', async (_, from, to) => {
  const copy = mkdtempSync(join(tmpdir(), 'crossfade-rules-'));
  onTestFinished(() => rmSync(copy, { recursive: true, force: true }));
  const rules = readFileSync(join(folder, 'rules.yml'), 'utf8');
  expect(rules).toMatch(from);
  writeFileSync(join(copy, 'rules.yml'), rules.replace(from, to));
  copyFileSync(join(folder, 'rules.test.yml'), join(copy, 'rules.test.yml'));
  await expect(toolFor(['test', 'rules', 'rules.test.yml'], copy).then(run)).rejects.toThrow('FAILED');
});
