/** A person on call believes the lag: with real servers, it grows all the while that anything is dead, and falls back near 0 afterwards. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { startStack, type Stack } from '../../stack/stack.ts';
import { eventually, type Running, startCli } from '../support/cli.ts';
import { askHttp, metricOf } from '../support/scrape.ts';

const objectiveSeconds = 3;
let stack: Stack<'mysql' | 'postgres'>;
let folder: string;
let hook: Server;
let serial = 0;
/** What the webhook was told, by pipeline. */
const told = new Map<string, Record<string, unknown>[]>();

beforeAll(async () => {
  stack = await startStack({ servers: ['mysql', 'postgres'], isPrivate: true, log: () => undefined });
  folder = mkdtempSync(join(tmpdir(), 'crossfade-lag-'));
  hook = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      const alert = JSON.parse(body) as Record<string, unknown>;
      told.set(String(alert['pipeline']), [...(told.get(String(alert['pipeline'])) ?? []), alert]);
      response.writeHead(204).end();
    });
  });
  await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  hook?.close();
  await stack?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

interface Pipeline {
  readonly name: string;
  readonly insert: () => Promise<void>;
  readonly start: (...words: string[]) => Running;
  /** Lag in seconds as the process tells it; undefined where it says that it does not know. */
  readonly lag: (of: Running) => Promise<number | undefined>;
  readonly alerts: () => readonly Record<string, unknown>[];
  readonly get: (of: Running, path: string) => Promise<{ status: number; body: string }>;
}

async function pipeline(): Promise<Pipeline> {
  const name = `lag${++serial}`;
  const mysql = await createConnection({ uri: stack.urls.mysql });
  const postgres = new pg.Client({ connectionString: stack.urls.postgres });
  await postgres.connect();
  await mysql.query(`CREATE DATABASE ${name}`);
  await mysql.query(`CREATE TABLE ${name}.orders (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(50))`);
  await postgres.query(`CREATE TABLE ${name} (id INT PRIMARY KEY, note VARCHAR(50))`);
  await postgres.end();
  onTestFinished(() => mysql.destroy());
  const { port } = hook.address() as AddressInfo;
  writeFileSync(
    join(folder, `${name}.yaml`),
    `pipeline: ${name}
source: { mysql: "${stack.urls.mysql}" }
services: { orders: { postgres: "${stack.urls.postgres}", tables: { ${name}.orders: { to: public.${name} } } } }
lag: { objective: ${objectiveSeconds}s, alert: "http://127.0.0.1:${port}/secret-hook" }
`,
  );
  const portOf = async (running: Running) =>
    Number(await eventually('the door for monitors', () => /"listen":"127\.0\.0\.1:(\d+)"/.exec(running.text())?.[1]));
  const get: Pipeline['get'] = async (of, path) => askHttp(await portOf(of), path);
  return {
    name,
    insert: async () => void (await mysql.query(`INSERT INTO ${name}.orders (note) VALUES ('x')`)),
    start(...words) {
      const running = startCli([...words, '--config', `${name}.yaml`, '--http', '127.0.0.1:0'], { cwd: folder });
      onTestFinished(async () => {
        running.child.kill('SIGCONT');
        running.child.kill('SIGTERM');
        const deadline = setTimeout(() => running.child.kill('SIGKILL'), 15_000);
        const { stdout, stderr } = await running.finished;
        clearTimeout(deadline);
        expect(stdout + stderr).not.toContain('secret-hook');
      });
      return running;
    },
    lag: async (of) => metricOf((await get(of, '/metrics')).body, 'crossfade_service_lag_seconds', { service: 'orders' }),
    alerts: () => told.get(name) ?? [],
    get,
  };
}

/** Ready, with a row applied, and near zero although nothing more happens. */
async function well(pipe: Pipeline, ...processes: Running[]): Promise<void> {
  for (const each of processes) {
    await eventually('/readyz', async () => ((await pipe.get(each, '/readyz')).status === 200 ? true : undefined), 60_000);
    await eventually('lag near zero', async () => ((await pipe.lag(each)) ?? 99) < 2.5 || undefined, 60_000);
  }
}

/** For `seconds`, every look finds more than the one before, and at last about as much as has passed. */
async function grows(pipe: Pipeline, of: Running, seconds: number): Promise<void> {
  const startedMs = Date.now();
  let before = (await pipe.lag(of)) ?? -1;
  while (Date.now() - startedMs < seconds * 1000) {
    // The span between two looks, not a wait for something to happen.
    await new Promise((resolve) => setTimeout(resolve, 500));
    const now = await pipe.lag(of);
    expect(now, 'known all the while').toBeDefined();
    // The last complete records may still arrive in the first seconds.
    if (Date.now() - startedMs > 3500) expect(now).toBeGreaterThan(before);
    before = now ?? -1;
  }
  expect(before).toBeGreaterThan(seconds - 3.5);
}

const events = (pipe: Pipeline) => pipe.alerts().map(({ event }) => event);
const recovered = (pipe: Pipeline) =>
  eventually('breach and recovery, once each', () => (events(pipe).includes('lag_recovered') ? true : undefined), 60_000);

describe('G11: lag grows while anything is dead', () => {
  test('capture frozen, in a process of its own', async () => {
    const pipe = await pipeline();
    const capture = pipe.start('run', 'capture');
    await eventually('capture streams', () => /capture streams/.test(capture.text()) || undefined);
    const apply = pipe.start('run', 'apply', '--service', 'orders');
    await pipe.insert();
    await well(pipe, capture, apply);
    capture.child.kill('SIGSTOP');
    await grows(pipe, apply, 12);
    capture.child.kill('SIGCONT');
    await well(pipe, apply);
    await recovered(pipe);
    expect(events(pipe)).toEqual(['lag_breached', 'lag_recovered']);
    expect(pipe.alerts()[0]).toMatchObject({ pipeline: pipe.name, service: 'orders', objective_seconds: objectiveSeconds });
    expect(String(pipe.alerts()[0]?.['dead'])).toContain('no sign of life');
  });

  test('apply killed: the process that captures tells it, and status says the same', async () => {
    const pipe = await pipeline();
    const capture = pipe.start('run', 'capture');
    await eventually('capture streams', () => /capture streams/.test(capture.text()) || undefined);
    const apply = pipe.start('run', 'apply', '--service', 'orders');
    await pipe.insert();
    await well(pipe, capture, apply);
    apply.child.kill('SIGKILL');
    await apply.finished;
    await pipe.insert();
    await grows(pipe, capture, 14);
    const [metric, status] = [await pipe.lag(capture), JSON.parse((await pipe.get(capture, '/status')).body) as Status];
    expect(Math.abs((metric ?? 0) - (status.services[0]?.lagSeconds ?? 99))).toBeLessThan(2);
    expect(status.services[0]?.lagChanges).toBe(1);
    expect(metricOf((await pipe.get(capture, '/metrics')).body, 'crossfade_service_lag_changes', { service: 'orders' })).toBe(1);
    expect(metricOf((await pipe.get(capture, '/metrics')).body, 'crossfade_lag_objective_breached', { service: 'orders' })).toBe(1);
    const again = pipe.start('run', 'apply', '--service', 'orders');
    await well(pipe, capture, again);
    await recovered(pipe);
    expect(events(pipe)).toEqual(['lag_breached', 'lag_recovered']);
  });

  test.each(['postgres', 'mysql'] as const)('%s frozen, with everything in one process', async (name) => {
    const pipe = await pipeline();
    const all = pipe.start('run');
    await eventually('capture streams', () => /capture streams/.test(all.text()) || undefined);
    await pipe.insert();
    await well(pipe, all);
    const server = stack.servers[name];
    if (name === 'postgres') await pipe.insert();
    await server.kill('SIGSTOP');
    try {
      // What was committed before the freeze may be visible already: the source is asked for more where it can be.
      if (name === 'postgres') await pipe.insert();
      await grows(pipe, all, 14);
      expect((await pipe.get(all, '/livez')).status).toBe(200);
    } finally {
      await server.kill('SIGCONT');
    }
    await well(pipe, all);
    await recovered(pipe);
    expect(events(pipe)).toEqual(['lag_breached', 'lag_recovered']);
  });

  test('before anything is known it is absent, and said to be unknown; after a restart with the target away it is what the log knows', async () => {
    const pipe = await pipeline();
    const capture = pipe.start('run', 'capture');
    await eventually('capture streams', () => /capture streams/.test(capture.text()) || undefined);
    const first = pipe.start('run', 'apply', '--service', 'orders');
    await pipe.insert();
    await well(pipe, capture, first);
    first.child.kill('SIGKILL');
    await first.finished;
    await stack.servers.postgres.kill('SIGSTOP');
    try {
      await pipe.insert();
      const second = pipe.start('run', 'apply', '--service', 'orders');
      await eventually('lag is known', async () => ((await pipe.lag(second)) === undefined ? undefined : true));
      expect((await pipe.get(second, '/readyz')).status).toBe(503);
      await grows(pipe, second, 8);
      await stack.servers.postgres.kill('SIGCONT');
      await well(pipe, capture, second);
    } finally {
      await stack.servers.postgres.kill('SIGCONT');
    }
  });
});

test('G10: a process that ends for good tells the webhook why, once', async () => {
  const pipe = await pipeline();
  const all = pipe.start('run');
  await eventually('capture streams', () => /capture streams/.test(all.text()) || undefined);
  await pipe.insert();
  await well(pipe, all);
  const client = new pg.Client({ connectionString: stack.urls.postgres });
  await client.connect();
  await client.query(`DROP TABLE ${pipe.name}`);
  await client.end();
  await pipe.insert();
  expect((await all.finished).code).toBe(4);
  expect(pipe.alerts().filter(({ event }) => event === 'stopped')).toEqual([
    expect.objectContaining({ pipeline: pipe.name, code: 'TARGET_TABLE_MISSING', remedy: expect.any(String) as string }),
  ]);
});

interface Status {
  readonly services: readonly { readonly lagSeconds?: number; readonly lagChanges: number }[];
}
