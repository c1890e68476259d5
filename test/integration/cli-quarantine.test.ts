/** Changes that the target refuses, met as a person meets them: held, halted, put aside, retried and discarded. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { captures, eventually, runCli, type Running, startCli } from '../support/cli.ts';
import { freshMysqlDatabase, freshName, freshPostgresDatabase, type MysqlDatabase, type PostgresDatabase } from '../support/servers.ts';

let folder: string;
let mysql: MysqlDatabase;
let postgres: PostgresDatabase;
const running: Running[] = [];

beforeAll(async () => {
  mysql = await freshMysqlDatabase();
  postgres = await freshPostgresDatabase();
});
afterAll(async () => {
  await mysql[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
});
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'crossfade-quarantine-'));
  await mysql.connection.query('DROP TABLE IF EXISTS lines_of, orders');
  await mysql.connection.query('CREATE TABLE orders (id INT PRIMARY KEY, note VARCHAR(50))');
  await mysql.connection.query('CREATE TABLE lines_of (id INT PRIMARY KEY, order_id INT)');
  await postgres.client.query(`DROP SCHEMA IF EXISTS crossfade CASCADE; DROP TABLE IF EXISTS lines_of, orders;
    CREATE TABLE orders (id integer PRIMARY KEY, note varchar(5));
    CREATE TABLE lines_of (id integer PRIMARY KEY, order_id integer REFERENCES orders)`);
});
afterEach(async () => {
  for (const { child, finished } of running.splice(0)) {
    child.kill('SIGKILL');
    await finished;
  }
  rmSync(folder, { recursive: true, force: true });
});

function configure(onPoison: string): void {
  const source = Object.assign(new URL(mysql.url), { pathname: '' }).href;
  const tables = `{ ${mysql.name}.lines_of: , ${mysql.name}.orders: }`;
  const text = `pipeline: q${freshName()}\nsource: { mysql: "${source}" }\nservices:\n  shop: { postgres: "${postgres.url}", ${onPoison} tables: ${tables} }\n`;
  writeFileSync(join(folder, 'crossfade.yaml'), text);
}

const cli = (...args: string[]) => runCli(args, { cwd: folder });

async function start(...args: string[]): Promise<Running> {
  const one = startCli(['run', ...args], { cwd: folder });
  running.push(one);
  await eventually('capture streams', () => {
    if (one.child.exitCode !== null) throw new Error(`it ended: ${one.text()}`);
    return captures(one);
  });
  return one;
}

const rows = async (sql: string) => JSON.stringify((await postgres.client.query({ text: sql, rowMode: 'array' })).rows);
const become = (what: string, sql: string, wanted: unknown) =>
  eventually(what, async () => ((await rows(sql)) === JSON.stringify(wanted) ? true : undefined));

test('G1: quarantine: the poison waits with its key, the rest flows, and list, show, retry and discard deal with it while it runs', async () => {
  configure('onPoison: quarantine,');
  await start();
  await mysql.connection.query("INSERT INTO orders VALUES (1, 'short'), (2, 'secret-note'), (3, 'fine')");
  await mysql.connection.query("UPDATE orders SET note = 'secret-too' WHERE id = 2");
  await mysql.connection.query("INSERT INTO orders VALUES (4, 'another-secret'), (5, 'ok')");
  await become('the rest arrives', 'SELECT id FROM orders ORDER BY id', [[1], [3], [5]]);
  const listed = await eventually('both are listed', async () => {
    const { stdout } = await cli('quarantine', 'list', '--json');
    const all = JSON.parse(stdout) as { id: string; behind: number; state: string; source: string }[];
    return all.length === 2 && all[0]?.behind === 1 ? all : undefined;
  });
  expect(listed).toMatchObject([
    { service: 'shop', state: 'quarantined', source: `${mysql.name}.orders`, code: 'TARGET_VALUE_REFUSED', behind: 1 },
    { service: 'shop', state: 'quarantined', behind: 0 },
  ]);
  const [first = { id: '' }, second = { id: '' }] = listed;
  const shown = await cli('quarantine', 'show', first.id);
  expect(shown.stdout).toContain('note: varchar(50)');
  expect(shown.stdout + JSON.stringify(listed)).not.toContain('secret');
  expect((await cli('quarantine', 'show', first.id, '--values')).stdout).toContain('"secret-note"');
  expect((await cli('quarantine', 'retry', first.id)).code).toBe(1);
  await postgres.client.query('ALTER TABLE orders ALTER note TYPE varchar(50)');
  expect(await cli('quarantine', 'retry', '999999')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('keeps no change 999999') as string,
  });
  expect(await cli('quarantine', 'retry', first.id)).toMatchObject({
    code: 0,
    stdout: `${first.id}: applied, and 1 later change of its key\n`,
  });
  await become('the last change of the key counts', 'SELECT note FROM orders WHERE id = 2', [['secret-too']]);
  await mysql.connection.query("UPDATE orders SET note = 'later' WHERE id = 2");
  await become('the key flows again', 'SELECT note FROM orders WHERE id = 2', [['later']]);
  const unasked = await cli('quarantine', 'discard', second.id);
  expect(unasked.code).toBe(2);
  expect(unasked.stderr).toMatch(/the\s+row\s+is\s+never\s+added/);
  expect((await cli('quarantine', 'discard', second.id, '--yes')).code).toBe(0);
  expect((await cli('quarantine', 'list', '--json')).stdout).toBe('[]\n');
  await mysql.connection.query("UPDATE orders SET note = 'new' WHERE id = 4");
  await become('a later change brings the whole row', 'SELECT note FROM orders WHERE id = 4', [['new']]);
}, 300_000);

test('section 9: children that come before their parents, from streams of their own, are held and applied, and nothing is said to be wrong', async () => {
  configure('');
  const one = await start();
  const values = Array.from({ length: 300 }, (_, id) => id + 1);
  for (const id of values) {
    await mysql.connection.query('INSERT INTO orders VALUES (?, ?)', [id, 'a']);
    await mysql.connection.query('INSERT INTO lines_of VALUES (?, ?)', [id, id]);
  }
  await become('all children arrive', 'SELECT count(*)::int FROM lines_of', [[300]]);
  await mysql.connection.query('UPDATE lines_of SET order_id = 1');
  await mysql.connection.query('DELETE FROM orders WHERE id > 1');
  await become('parents go behind their children', 'SELECT count(*)::int FROM orders', [[1]]);
  expect(one.text()).not.toContain('"code":"TARGET_CONSTRAINT"');
  await eventually('nothing is held', async () => ((await cli('quarantine', 'list', '--json')).stdout === '[]\n' ? true : undefined));
}, 300_000);

test('section 9: a parent that never comes is poison once all have passed; halt says so, and mended it goes on', async () => {
  configure('');
  const one = await start();
  await mysql.connection.query('INSERT INTO lines_of VALUES (1, 404)');
  await mysql.connection.query("INSERT INTO orders VALUES (1, 'x')");
  const { code } = await one.finished;
  expect(code).toBe(4);
  expect(one.text()).toContain('TARGET_CONSTRAINT');
  expect(one.text()).toContain('lines_of_order_id_fkey');
  expect(await rows('SELECT id FROM orders')).toBe('[[1]]');
  expect(JSON.parse((await cli('quarantine', 'list', '--json')).stdout)).toMatchObject([{ state: 'held', code: 'TARGET_CONSTRAINT' }]);
  await postgres.client.query("INSERT INTO orders VALUES (404, 'hand')");
  await start();
  await become('it is applied', 'SELECT order_id FROM lines_of', [[404]]);
}, 300_000);
