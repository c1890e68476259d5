/** A pipeline of one table with a webhook, and what a monitor sees of it while something is dead. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import pg from 'pg';
import { expect, onTestFinished } from 'vitest';
import { startStack, type Stack } from '../../../stack/stack.ts';
import { eventually, type Running, startCli } from '../../support/cli.ts';
import { askHttp, metricOf } from '../../support/scrape.ts';

const objectiveSeconds = 3;
type Alert = Readonly<Record<string, unknown>>;
type Servers = 'mysql' | 'postgres' | 'kafka';

export interface LagRig extends AsyncDisposable {
  readonly stack: Stack<Servers>;
  /** A new one, with tables of its own; `log` is the setting of that name. */
  pipeline(log?: string): Promise<Pipeline>;
}

export interface Pipeline {
  readonly name: string;
  readonly insert: () => Promise<void>;
  readonly start: (...words: string[]) => Running;
  /** Lag in seconds as the process tells it; undefined where it says that it does not know. */
  readonly lag: (of: Running) => Promise<number | undefined>;
  readonly alerts: () => readonly Alert[];
  readonly get: (of: Running, path: string) => Promise<{ status: number; body: string }>;
}

export async function openLagRig(servers: readonly Servers[]): Promise<LagRig> {
  const stack = await startStack({ servers, isPrivate: true, log: () => undefined });
  const folder = mkdtempSync(join(tmpdir(), 'crossfade-lag-'));
  /** What the webhook was told, by pipeline. */
  const told = new Map<string, Alert[]>();
  const hook = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      const alert = JSON.parse(body) as Alert;
      const name = String(alert['pipeline']);
      told.set(name, [...(told.get(name) ?? []), alert]);
      response.writeHead(204).end();
    });
  });
  await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve));
  const { port } = hook.address() as AddressInfo;
  let serial = 0;
  return {
    stack,
    pipeline: (log = 'embedded') =>
      openPipeline({ name: `lag${++serial}`, log, stack, folder, hook: `http://127.0.0.1:${port}/secret-hook`, told }),
    async [Symbol.asyncDispose]() {
      hook.close();
      await stack[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

interface PipelineParts {
  readonly name: string;
  readonly log: string;
  readonly stack: Stack<Servers>;
  readonly folder: string;
  readonly hook: string;
  readonly told: ReadonlyMap<string, readonly Alert[]>;
}

async function openPipeline({ name, log, stack, folder, hook, told }: PipelineParts): Promise<Pipeline> {
  const mysql = await createConnection({ uri: stack.urls.mysql });
  const postgres = new pg.Client({ connectionString: stack.urls.postgres });
  await postgres.connect();
  await mysql.query(`CREATE DATABASE ${name}`);
  await mysql.query(`CREATE TABLE ${name}.orders (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(50))`);
  await postgres.query(`CREATE TABLE ${name} (id INT PRIMARY KEY, note VARCHAR(50))`);
  await postgres.end();
  // Named, since the other pipelines of this file filled the same target for a service of this name.
  const [rows] = await mysql.query('SELECT @@GLOBAL.gtid_executed AS gtid');
  const gtid = String((rows as { gtid: string }[])[0]?.gtid).replaceAll(/\s/g, '');
  onTestFinished(() => mysql.destroy());
  writeFileSync(
    join(folder, `${name}.yaml`),
    `pipeline: ${name}
source: { mysql: { url: "${stack.urls.mysql}", start: { gtid: ${JSON.stringify(gtid)} } } }
log: ${log}
services: { orders: { postgres: "${stack.urls.postgres}", tables: { ${name}.orders: { to: public.${name} } } } }
lag: { objective: ${objectiveSeconds}s, alert: "${hook}" }
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

export const streams = (of: Running): Promise<true> =>
  eventually('capture streams', () => (of.text().includes('capture streams') ? true : undefined), 60_000);

/** Ready, with a row applied, and near zero although nothing more happens. */
export async function well(pipe: Pipeline, ...processes: Running[]): Promise<void> {
  for (const each of processes) {
    await eventually('/readyz', async () => ((await pipe.get(each, '/readyz')).status === 200 ? true : undefined), 60_000);
    await eventually('lag near zero', async () => ((await pipe.lag(each)) ?? 99) < 2.5 || undefined, 60_000);
  }
}

interface Status {
  readonly services: readonly { readonly applied: number; readonly lagSeconds?: number; readonly lagChanges: number }[];
}
/** Of the one service, as the process tells it: by the target's own progress, at most 5 s old. */
export const serviceStatus = async (pipe: Pipeline, of: Running): Promise<Status['services'][number] | undefined> =>
  (JSON.parse((await pipe.get(of, '/status')).body) as Status).services[0];

/**
 * So many records are in the target, and the log was told: what an apply has written and not told yet (a second's worth)
 * counts as missing where another process tells the lag, until an apply starts anew and finds it in the target.
 */
export async function toldOf(pipe: Pipeline, of: Running, records: number): Promise<void> {
  await eventually('the target has them', async () => ((await serviceStatus(pipe, of))?.applied === records ? true : undefined), 60_000);
  const thereMs = Date.now();
  await eventually('the log was told', async () => {
    const atMs = Date.now();
    const { body } = await pipe.get(of, '/metrics');
    const lookAgeSeconds = metricOf(body, 'crossfade_log_look_age_seconds') ?? Infinity;
    const isNew = atMs - lookAgeSeconds * 1000 > thereMs;
    return isNew && metricOf(body, 'crossfade_service_lag_changes', { service: 'orders' }) === 0 ? true : undefined;
  });
}

/** Capture and apply in processes of their own, with a row applied and all well. */
export async function startedApart(rig: LagRig): Promise<{ readonly pipe: Pipeline; readonly capture: Running; readonly apply: Running }> {
  const pipe = await rig.pipeline();
  const capture = pipe.start('run', 'capture');
  await streams(capture);
  const apply = pipe.start('run', 'apply', '--service', 'orders');
  await pipe.insert();
  await well(pipe, capture, apply);
  return { pipe, capture, apply };
}

/** For `seconds`, every look finds more than the one before, and at last about as much as has passed. */
export async function grows(pipe: Pipeline, of: Running, seconds: number): Promise<void> {
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

export const events = (pipe: Pipeline) => pipe.alerts().map(({ event }) => event);
export const recovered = (pipe: Pipeline) =>
  eventually('breach and recovery, once each', () => (events(pipe).includes('lag_recovered') ? true : undefined), 60_000);
