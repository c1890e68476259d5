/** G1: a log that is gone, or a target that is, leaves no hole that nobody sees, and what is printed as the way out is one. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { captures, eventually, runCli, startCli } from '../support/cli.ts';
import { freshMysqlDatabase, freshName, freshPostgresDatabase, type MysqlDatabase, type PostgresDatabase } from '../support/servers.ts';

let folder: string;
let mysql: MysqlDatabase;
let postgres: PostgresDatabase;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'crossfade-cli-'));
  mysql = await freshMysqlDatabase();
  postgres = await freshPostgresDatabase();
});
afterAll(async () => {
  await mysql[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const cli = (...args: string[]) => runCli(args, { cwd: folder });
const ids = async (table: string) =>
  (await postgres.client.query(`SELECT id FROM ${table} ORDER BY id`)).rows.map(({ id }) => id as number);

/** A pipeline over one table of its own, with a service of that name. */
async function configure(table: string): Promise<{ readonly name: string; readonly config: readonly [string, string] }> {
  await mysql.connection.query(`CREATE TABLE ${table} (id INT PRIMARY KEY)`);
  await postgres.client.query(`CREATE TABLE ${table} (id INT PRIMARY KEY)`);
  const name = freshName();
  const source = `mysql://root@${new URL(mysql.url).host}`;
  const text = `pipeline: ${name}\nsource:\n  mysql:\n    url: ${source}\nservices: { ${table}: { postgres: "${postgres.url}", tables: { ${mysql.name}.${table}: } } }\n`;
  writeFileSync(join(folder, `${name}.yaml`), text);
  return { name, config: ['-c', `${name}.yaml`] };
}

/** Runs until the rows are in the target, and ends in good order. */
async function runUntil(
  config: readonly string[],
  table: string,
  wanted: readonly number[],
  insert?: () => Promise<unknown>,
): Promise<void> {
  const running = startCli(['run', ...config], { cwd: folder });
  try {
    await eventually('capture streams', () => captures(running));
    await insert?.();
    await eventually(`${table} holds ${JSON.stringify(wanted)}: ${running.text()}`, async () =>
      JSON.stringify(await ids(table)) === JSON.stringify(wanted) ? true : undefined,
    );
    running.child.kill('SIGTERM');
    expect(await running.finished).toMatchObject({ code: 0 });
  } finally {
    running.child.kill('SIGKILL');
  }
}

test('G1: a replaced log does not begin at the end; the printed start and rebuild bring every row', async () => {
  const { name, config } = await configure('orders');
  const path = join(folder, `${name}.yaml`);
  const insert = (id: number) => mysql.connection.query('INSERT INTO orders VALUES (?)', [id]);
  await runUntil(config, 'orders', [1], () => insert(1));
  for (const file of readdirSync(folder).filter((each) => each.startsWith(`${name}.crossfade.db`))) rmSync(join(folder, file));
  await insert(2);
  const checked = await cli('check', ...config);
  expect(checked.code).toBe(1);
  expect(checked.stdout).toContain('LOG_LOST_HISTORY');
  const refused = await cli('run', 'capture', ...config);
  expect(refused.code).toBe(4);
  expect(refused.stderr).toContain('LOG_LOST_HISTORY');
  // What is printed is what a person pastes; the terminal's wrapping is not part of it.
  const said = JSON.parse(refused.stdout.trim().split('\n').at(-1) ?? '') as { err: { remedy: string } };
  const line = /"(start: .*?\})"/.exec(said.err.remedy)?.[1];
  expect(line).toMatch(/^start: \{ gtid: '[0-9a-f-]+:1-\d+' \}$/);
  // A rebuild has nothing to replay yet, and does not take the target's word away.
  expect((await cli('rebuild', ...config, '--service', 'orders', '--yes', '--tables-loaded')).stderr).toContain('LOG_LOST_HISTORY');
  writeFileSync(path, readFileSync(path, 'utf8').replace(/(\n +)url:/, `$1${line}$1url:`));
  const stopped = await cli('run', ...config);
  expect(stopped.code).toBe(4);
  expect(stopped.stderr).toContain('TARGET_PROGRESS_FOREIGN');
  const unsure = await cli('rebuild', ...config, '--service', 'orders', '--yes');
  expect(unsure.code).toBe(4);
  expect(unsure.stderr).toContain('--tables-loaded');
  expect(await cli('rebuild', ...config, '--service', 'orders', '--yes', '--tables-loaded')).toMatchObject({ code: 0 });
  await runUntil(config, 'orders', [1, 2]);
});

test('G1: an emptied target is not rebuilt before a person says that the older rows are back', async () => {
  const { config } = await configure('stock');
  await mysql.connection.query('INSERT INTO stock VALUES (1)');
  await postgres.client.query('INSERT INTO stock VALUES (1)');
  await runUntil(config, 'stock', [1, 2], () => mysql.connection.query('INSERT INTO stock VALUES (2)'));
  await postgres.client.query('TRUNCATE stock; DROP SCHEMA crossfade CASCADE');
  const stopped = await cli('run', ...config);
  expect(stopped).toMatchObject({ code: 4 });
  expect(stopped.stderr).toContain('TARGET_PROGRESS_LOST');
  const unsure = await cli('rebuild', ...config, '--service', 'stock', '--yes');
  expect(unsure.code).toBe(4);
  expect(unsure.stderr.replace(/\s+/g, ' ')).toMatch(/The log holds only what happened in the source since [0-9a-f]{8}-/);
  await postgres.client.query('INSERT INTO stock VALUES (1)');
  expect(await cli('rebuild', ...config, '--service', 'stock', '--yes', '--tables-loaded')).toMatchObject({ code: 0 });
  await runUntil(config, 'stock', [1, 2]);
});
