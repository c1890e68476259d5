/** The door for monitors of the real command: every role, no secret, a port that is taken, a thread that is stuck. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { captures, eventually, runCli, type Running, startCli } from '../support/cli.ts';
import { askHttp, metricOf } from '../support/scrape.ts';
import { freshMysqlDatabase, freshName, freshPostgresDatabase, type MysqlDatabase, type PostgresDatabase } from '../support/servers.ts';

const secret = 'hunter2-secret';
let folder: string;
let mysql: MysqlDatabase;
let postgres: PostgresDatabase;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'crossfade-http-'));
  mysql = await freshMysqlDatabase();
  postgres = await freshPostgresDatabase();
  await mysql.connection.query('CREATE TABLE orders (id INT PRIMARY KEY, note VARCHAR(50))');
  await postgres.client.query('CREATE TABLE orders (id INT PRIMARY KEY, note VARCHAR(50))');
  await mysql.connection.query(`CREATE USER '${mysql.name}'@'%' IDENTIFIED BY '${secret}'`);
  await mysql.connection.query(`GRANT ALL ON *.* TO '${mysql.name}'@'%'`);
});
// Each test has a pipeline of its own, the first that this target knows.
beforeEach(() => postgres.client.query('DROP SCHEMA IF EXISTS crossfade CASCADE'));
afterAll(async () => {
  await mysql.connection.query(`DROP USER '${mysql.name}'@'%'`);
  await mysql[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

function pipeline(more = '') {
  const name = freshName();
  const source = `mysql://${mysql.name}:${secret}@${new URL(mysql.url).host}`;
  const target = `postgres: "${postgres.url}", tables: { ${mysql.name}.orders: }`;
  writeFileSync(
    join(folder, `${name}.yaml`),
    `pipeline: ${name}\nsource: { mysql: "${source}" }\nservices: { orders: { ${target} } }\n${more}\n`,
  );
  const config = ['--config', `${name}.yaml`];
  const start = (words: readonly string[], env: Record<string, string> = {}): Running => {
    const running = startCli([...words, ...config], { cwd: folder, env });
    onTestFinished(async () => {
      running.child.kill('SIGKILL');
      await running.finished;
    });
    return running;
  };
  return { name, config, start };
}
const anyPort = ['--http', '127.0.0.1:0'];
const portOf = async (running: Running) =>
  Number(await eventually('it listens', () => /"listen":"127\.0\.0\.1:(\d+)"/.exec(running.text())?.[1]));
const ready = async (port: number) =>
  eventually('it is ready', async () => ((await askHttp(port, '/readyz')).status === 200 ? true : undefined));

test('G13: run, run capture and run apply answer all four paths, without a value or a password', async () => {
  const { name, config, start } = pipeline();
  const capture = start(['run', 'capture', ...anyPort]);
  await eventually('capture streams', () => captures(capture));
  const apply = start(['run', 'apply', '--service', 'orders', ...anyPort]);
  await mysql.connection.query(`INSERT INTO orders VALUES (1, 'value-${secret}')`);
  const ports = [await portOf(capture), await portOf(apply)];
  for (const port of ports) await ready(port);
  await eventually('the row is applied', async () => (await postgres.client.query('SELECT 1 FROM orders')).rows[0] as object | undefined);
  for (const port of ports) {
    expect(await askHttp(port, '/livez')).toEqual({ status: 200, body: '{"ok":true,"reasons":[]}\n' });
    await eventually('lag is near zero', async () => {
      const { body } = await askHttp(port, '/metrics');
      const seconds = metricOf(body, 'crossfade_lag_seconds', { service: 'orders', table: `${mysql.name}.orders`, pipeline: name });
      return seconds !== undefined && seconds < 5 ? true : undefined;
    });
    // Capture measured it, and every process hears of it through the log.
    const offset = metricOf((await askHttp(port, '/metrics')).body, 'crossfade_source_clock_offset_seconds');
    expect(Math.abs(offset ?? 99)).toBeLessThan(5);
    expect(offset).not.toBe(0);
    const { status, body } = await askHttp(port, '/status');
    expect(status).toBe(200);
    const told = JSON.parse(body) as object;
    expect(Object.keys(told)).toEqual(
      Object.keys(JSON.parse((await runCli(['status', '--json', ...config], { cwd: folder })).stdout) as object),
    );
    expect(told).toMatchObject({ pipeline: name, services: [{ name: 'orders', applied: 1, lagChanges: 0 }] });
    for (const path of ['/metrics', '/status', '/readyz', '/livez', '/unknown']) {
      expect((await askHttp(port, path)).body).not.toContain(secret);
    }
  }
  // A standby that knows its leader is ready.
  const standby = start(['run', 'capture', ...anyPort]);
  await ready(await portOf(standby));
  const all = metricOf((await askHttp(await portOf(standby), '/metrics')).body, 'crossfade_part_state', {
    part: 'capture',
    state: 'running',
  });
  expect(all).toBe(0);
});

test('an address that somebody counts on and that is taken ends the process with the remedy; the one of nobody is a warning', async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void taken.close());
  const { port } = taken.address() as AddressInfo;
  const { config, start } = pipeline(`http: { listen: "127.0.0.1:${port}" }`);
  const { code, stdout, stderr } = await runCli(['run', ...config], { cwd: folder });
  expect(code).toBe(4);
  expect(stdout + stderr).toContain('HTTP_LISTEN');
  expect(stdout + stderr).toContain(`127.0.0.1:${port}`);
  expect((await runCli(['run', ...config, '--http', 'nonsense'], { cwd: folder })).code).toBe(2);
  const off = start(['run', '--http', 'off']);
  await eventually('it streams all the same', () => captures(off));
  expect(off.text()).not.toContain('"listen"');
});

test('G10: a thread that is stuck is seen by /livez and /readyz, while the process answers', { timeout: 90_000 }, async () => {
  const preload = join(folder, 'stuck.mjs');
  writeFileSync(
    preload,
    `import { subscribe } from 'node:diagnostics_channel';
     import { existsSync } from 'node:fs';
     subscribe('crossfade:apply:read', () => {
       while (existsSync(${JSON.stringify(join(folder, 'stuck'))})) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
     });`,
  );
  const { start } = pipeline();
  const all = start(['run', ...anyPort], { NODE_OPTIONS: `--import=${pathToFileURL(preload).href}` });
  const port = await portOf(all);
  await ready(port);
  writeFileSync(join(folder, 'stuck'), '');
  await mysql.connection.query(`INSERT INTO orders VALUES (2, 'two')`);
  const stuck = await eventually('the stuck thread is seen', async () => {
    const answer = await askHttp(port, '/livez');
    return answer.status === 503 ? answer.body : undefined;
  });
  expect(stuck).toMatch(/^\{"ok":false,"reasons":\["thread apply orders: stuck for \d+ s"\]\}\n$/);
  expect((await askHttp(port, '/readyz')).status).toBe(503);
  const lag = async () => metricOf((await askHttp(port, '/metrics')).body, 'crossfade_service_lag_seconds', { service: 'orders' }) ?? -1;
  expect(await lag()).toBeGreaterThan(8);
  rmSync(join(folder, 'stuck'));
  await ready(port);
  expect((await askHttp(port, '/livez')).status).toBe(200);
  await eventually('lag falls', async () => ((await lag()) < 3 ? true : undefined));
});
