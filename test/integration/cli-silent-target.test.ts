/** Targets that are slow to answer, or never do: what is wrong is said all the same, and a stop is heard. */
import { createServer } from 'node:http';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { captures, eventually, type Running, runCli, startCli } from '../support/cli.ts';
import { type HoldingProxy, startHoldingProxy } from '../support/holding-proxy.ts';
import { freshMysqlDatabase, freshName, freshPostgresDatabase, type MysqlDatabase, type PostgresDatabase } from '../support/servers.ts';

let folder: string;
let mysql: MysqlDatabase;
let postgres: PostgresDatabase;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'crossfade-silent-'));
  mysql = await freshMysqlDatabase();
  postgres = await freshPostgresDatabase();
  await mysql.connection.query('CREATE TABLE orders (id INT PRIMARY KEY)');
  await mysql.connection.query('CREATE TABLE keyless (a INT)');
});
afterAll(async () => {
  await mysql[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const pathOf = (name: string) => join(folder, `${name}.yaml`);

/** A pipeline with its own log; `services` as in the file. */
function configure(services: Readonly<Record<string, string>>, more = ''): string {
  const name = freshName();
  const source = `mysql://root@${new URL(mysql.url).host}`;
  const lines = Object.entries(services).map(([service, text]) => `  ${service}: { ${text} }\n`);
  writeFileSync(pathOf(name), `pipeline: ${name}\nhttp: off\nsource:\n  mysql:\n    url: ${source}\n${more}services:\n${lines.join('')}`);
  return name;
}
const onPostgres = (url = postgres.url) => `postgres: "${url}", tables: { ${mysql.name}.orders: }`;
const onRedis = (url: string) => `redis: "${url}", tables: { ${mysql.name}.orders: { key: "o:{id}" } }`;

function start(name: string, ...words: string[]): Running {
  const running = startCli(['run', ...words, '-c', `${name}.yaml`], { cwd: folder });
  onTestFinished(async () => {
    running.child.kill('SIGKILL');
    await running.finished;
  });
  return running;
}
async function holding(url: string, holdMs: number): Promise<HoldingProxy> {
  const proxy = await startHoldingProxy(url, holdMs);
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  return proxy;
}
const insert = (id: number) => mysql.connection.query('INSERT INTO orders VALUES (?)', [id]);
const arrived = (ids: string) =>
  eventually(`rows ${ids}`, async () => {
    const { rows } = await postgres.client.query("SELECT coalesce(string_agg(id::text, ',' ORDER BY id), '') AS ids FROM orders");
    return rows[0].ids === ids ? true : undefined;
  });

test('G1: a target that another pipeline filled keeps a new log from beginning at the present, however late it answers', async () => {
  await postgres.client.query('CREATE TABLE orders (id integer PRIMARY KEY)');
  const before = configure({ orders: onPostgres() });
  const old = start(before);
  await eventually('capture streams', () => captures(old));
  await insert(4);
  await arrived('4');
  old.child.kill('SIGTERM');
  expect(await old.finished).toMatchObject({ code: 0 });
  await insert(5);
  const slow = await holding(postgres.url, 4000);
  const next = configure({ orders: onPostgres(slow.url) });
  const refused = await start(next).finished;
  expect(refused.code).toBe(4);
  expect(refused.stderr.replace(/\s+/g, ' ')).toContain(`service orders by pipeline "${before}"`);
  expect(refused.stderr).toContain('TARGET_PROGRESS_FOREIGN');
  const checked = await runCli(['check', '--json', '-c', `${next}.yaml`], { cwd: folder });
  expect(JSON.parse(checked.stdout).findings).toContainEqual(
    expect.objectContaining({ level: 'error', code: 'TARGET_PROGRESS_FOREIGN', where: 'service orders' }),
  );
  const said = JSON.parse(refused.stdout.trim().split('\n').at(-1) ?? '') as { err: { remedy: string } };
  const line = /"(start: .*?\})"/.exec(said.err.remedy)?.[1] ?? 'none';
  writeFileSync(pathOf(next), readFileSync(pathOf(next), 'utf8').replace(/(\n +)url:/, `$1${line}$1url:`));
  const running = start(next);
  await insert(6);
  await arrived('4,5,6');
  running.child.kill('SIGTERM');
  expect(await running.finished).toMatchObject({ code: 0 });
});

test('one silent server hides nothing of what is wrong at the others', async () => {
  const silent = await holding('redis://127.0.0.1:1', Infinity);
  const keyless = `postgres: "${postgres.url}", tables: { ${mysql.name}.keyless: , ${mysql.name}.orders: { to: public.missing } }`;
  const { code, stderr } = await start(configure({ orders: keyless, slow: onRedis(silent.url) })).finished;
  expect(code).toBe(4);
  expect(stderr).toContain('SOURCE_TABLE_KEYLESS');
  expect(stderr).toContain('TARGET_TABLE_MISSING');
  expect(stderr).toContain('not started');
});

test('what is wrong at a server that answers late ends the run as it would have kept it from starting', async () => {
  const slow = await holding(postgres.url, 5000);
  const missing = (name: string) => `postgres: "${slow.url}", tables: { ${mysql.name}.orders: { to: public.${name} } }`;
  const { code, stdout, stderr } = await start(configure({ late: missing('missing'), later: missing('nowhere') })).finished;
  expect({ code, stderr }).toMatchObject({ code: 4, stderr: expect.stringContaining('TARGET_TABLE_MISSING') });
  expect(stdout).toContain('started unchecked: no answer of service late, service later within 3 s');
  // Each needs a person of its own, and all are told.
  expect(stderr).toContain('public.missing');
  expect(stderr).toContain('public.nowhere');
  expect(stderr).toContain('CREATE TABLE');
});

test.each([
  ['postgres', () => holding(postgres.url, Infinity), onPostgres],
  ['redis', () => holding('redis://127.0.0.1:1', Infinity), onRedis],
] as const)('G10: SIGINT while %s hangs ends soon, with 0, and wakes nobody', async (_, silent, service) => {
  const events: string[] = [];
  const hook = createServer((request, response) => {
    request.setEncoding('utf8').on('data', (text: string) => events.push(text));
    request.on('end', () => response.writeHead(204).end());
  });
  await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void hook.close());
  const alert = `lag: { objective: 600s, alert: "http://127.0.0.1:${(hook.address() as AddressInfo).port}/hook" }\n`;
  const running = start(configure({ hangs: service((await silent()).url) }, alert));
  await eventually('it starts all the same', () => (running.text().includes('started unchecked') ? true : undefined));
  // Said once a wait was too long: from then on it waits again.
  await eventually('the service waits', () => (/"part":"apply hangs".*trying again/.test(running.text()) ? true : undefined));
  const stoppedMs = performance.now();
  running.child.kill('SIGINT');
  const { code, stderr } = await running.finished;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(performance.now() - stoppedMs).toBeLessThan(10_000);
  expect(running.text()).not.toMatch(/INTERNAL|STOP_CUT_SHORT/);
  expect(events.join()).not.toContain('stopped');
});
