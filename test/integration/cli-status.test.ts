/** `crossfade status` as the person on call reads it: an apply that is dead, frozen, halted or cut off is told as such, with exit code 1. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { captures, eventually, runCli, type Running, startCli } from '../support/cli.ts';
import {
  freshMysqlDatabase,
  freshName,
  freshPostgresDatabase,
  type MysqlDatabase,
  type PostgresDatabase,
  privateStack,
} from '../support/servers.ts';

let folder: string;
let mysql: MysqlDatabase;
let postgres: PostgresDatabase;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'crossfade-cli-'));
  mysql = await freshMysqlDatabase();
  postgres = await freshPostgresDatabase();
  await mysql.connection.query('CREATE TABLE orders (id INT PRIMARY KEY, note VARCHAR(50))');
});
afterAll(async () => {
  await mysql[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

interface Told {
  readonly healthy: boolean;
  readonly reasons: readonly string[];
  readonly services: readonly {
    readonly applied: number;
    readonly lagSeconds?: number;
    readonly lagChanges: number;
    readonly error?: { readonly code: string };
    readonly members: readonly { readonly who: string; readonly silentSeconds: number }[];
    readonly trouble?: { readonly code: string; readonly message: string };
  }[];
}

/** A pipeline with its own log and tables, and the hands on it. */
async function pipeline(target: string) {
  const name = freshName();
  const source = `mysql://root@${new URL(mysql.url).host}`;
  writeFileSync(join(folder, `${name}.yaml`), `pipeline: ${name}\nsource: { mysql: "${source}" }\nservices: { orders: { ${target} } }\n`);
  const config = ['--config', `${name}.yaml`];
  const start = (...words: string[]): Running => {
    const running = startCli([...words, ...config], { cwd: folder });
    onTestFinished(() => void running.child.kill('SIGKILL'));
    return running;
  };
  const status = async (): Promise<{ code: number | null; told: Told }> => {
    const { code, stdout } = await runCli(['status', '--json', ...config], { cwd: folder });
    return { code, told: JSON.parse(stdout) as Told };
  };
  const text = async () => (await runCli(['status', ...config], { cwd: folder })).stdout;
  const until = (what: string, is: (told: Told) => boolean) =>
    eventually(what, async () => {
      const now = await status();
      return is(now.told) ? now : undefined;
    });
  return { name, folder, start, status, text, until };
}

async function postgresPipeline() {
  await postgres.client.query(
    'DROP SCHEMA IF EXISTS crossfade CASCADE; DROP TABLE IF EXISTS orders; CREATE TABLE orders (id INT PRIMARY KEY, note VARCHAR(10))',
  );
  await mysql.connection.query('DELETE FROM orders');
  return pipeline(`postgres: "${postgres.url}", tables: { ${mysql.name}.orders: }`);
}
type Pipeline = Awaited<ReturnType<typeof pipeline>>;

/** Capture and apply in processes of their own, one row applied, all well. */
async function running({ start, until }: Pipeline) {
  const capture = start('run', 'capture');
  await eventually('capture streams', () => captures(capture));
  const apply = start('run', 'apply', '--service', 'orders');
  await mysql.connection.query("INSERT INTO orders VALUES (1, 'one')");
  const { code } = await until('all is well', (told) => told.healthy && told.services[0]?.applied === 1);
  expect(code).toBe(0);
  return { capture, apply };
}

test('G11: an apply that was killed while caught up is missed at once', async () => {
  const pipe = await postgresPipeline();
  const { apply } = await running(pipe);
  expect((await pipe.status()).told.services[0]?.members[0]?.who).toContain(`pid ${apply.child.pid} `);
  apply.child.kill('SIGKILL');
  await apply.finished;
  const { code, told } = await pipe.status();
  expect([code, told.reasons]).toEqual([1, ['service orders: nobody applies']]);
  expect(await pipe.text()).toContain('nobody applies');
});

test('G11: an apply that is frozen shows no sign of life, by its pid', async () => {
  const pipe = await postgresPipeline();
  const { apply } = await running(pipe);
  apply.child.kill('SIGSTOP');
  const { code, told } = await pipe.until('its silence is told', ({ healthy }) => !healthy);
  expect(code).toBe(1);
  expect(told.reasons).toEqual([expect.stringMatching(`service orders: pid ${apply.child.pid} on .* shows no sign of life`)]);
  expect(await pipe.text()).toMatch(new RegExp(`pid ${apply.child.pid} on \\S+ shows no sign of life for [\\d.]+ s`));
});

test('G11: why a halted apply halted is told after it is gone, until it runs again', async () => {
  const pipe = await postgresPipeline();
  const { apply } = await running(pipe);
  await mysql.connection.query("INSERT INTO orders VALUES (2, 'much longer than ten characters')");
  expect((await apply.finished).code).toBe(4);
  const { code, told } = await pipe.status();
  expect(code).toBe(1);
  expect(told.services[0]).toMatchObject({ members: [], trouble: { code: 'TARGET_VALUE_REFUSED' }, lagChanges: 1 });
  expect(await pipe.text()).toMatch(/last: TARGET_VALUE_REFUSED [\d.]+ s ago: /);
  await postgres.client.query('ALTER TABLE orders ALTER COLUMN note TYPE VARCHAR(50)');
  pipe.start('run', 'apply', '--service', 'orders');
  expect((await pipe.until('it is well again', ({ healthy }) => healthy)).code).toBe(0);
});

test('G11: progress of another log has no lag', async () => {
  const pipe = await postgresPipeline();
  const { apply } = await running(pipe);
  apply.child.kill('SIGTERM');
  await apply.finished;
  await postgres.client.query("UPDATE crossfade.progress SET log_id = 'that of another log'");
  const { code, told } = await pipe.status();
  expect([code, told.services[0]?.lagSeconds]).toEqual([1, undefined]);
  expect(told.reasons).toContain('service orders: TARGET_PROGRESS_FOREIGN');
  expect(await pipe.text()).toContain('lag unknown');
});

test('a Redis that hangs is unreachable, within 5 s and not INTERNAL', async () => {
  await using stack = await privateStack({ servers: ['redis'] });
  const { url } = stack.servers.redis;
  const pipe = await pipeline(`redis: "${url}", tables: { ${mysql.name}.orders: { key: "o:{id}", shape: hash } }`);
  const capture = pipe.start('run', 'capture');
  await eventually('capture streams', () => captures(capture));
  const { Redis } = await import('ioredis');
  const redis = new Redis(url);
  // What a busy machine takes to start a program and to ask everything, and is no patience of ours.
  const beganMs = performance.now();
  await pipe.status();
  const usualMs = performance.now() - beganMs;
  await redis.call('CLIENT', 'PAUSE', '60000', 'ALL');
  redis.disconnect();
  const startedMs = performance.now();
  const { code, told } = await pipe.status();
  expect([code, told.services[0]?.error?.code]).toEqual([1, 'TARGET_UNREACHABLE']);
  expect(performance.now() - startedMs - usualMs).toBeLessThan(9000);
});
