/** A thousand columns, and names that need quoting on either side: from MySQL and MariaDB through the command line to Postgres. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { captures, eventually, runCli, startCli, type Running } from '../support/cli.ts';
import { freshMysqlDatabase, freshPostgresDatabase, type MysqlDatabase, type PostgresDatabase } from '../support/servers.ts';

const ticked = (name: string) => `\`${name.replaceAll('`', '``')}\``;
const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;

/** Type, how a value is written, and what both servers show for it. */
const kinds = [
  ['INT', (n: number) => String(n * 1_000_003 - 2_000_000_000)],
  ['SMALLINT UNSIGNED', (n: number) => String(n % 65_536)],
  ['VARCHAR(4) CHARACTER SET latin1', (n: number) => `v${n % 1000}`],
  ['DATE', (n: number) => `2026-01-${String((n % 28) + 1).padStart(2, '0')}`],
  ['TINYINT(1)', (n: number) => String(n % 3)],
  ['DECIMAL(5,2)', (n: number) => (n / 8).toFixed(2)],
  ["ENUM('a','b')", (n: number) => (n % 2 === 0 ? 'a' : 'b')],
] as const;
const wideColumns = Array.from({ length: 999 }, (_, index) => {
  const [type, value] = kinds[index % kinds.length] as (typeof kinds)[number];
  return { name: `column ${index}`, type, value };
});

const oddTable = 'Ta ble."x"\'s `y`';
const oddColumns = [
  'a"b',
  "it's",
  'with.dot',
  'UPPER',
  'lower',
  'sp ace',
  'ü',
  'back`tick',
  'back\\slash',
  '%s',
  'who?',
  '$1',
  '{brace}',
  'select',
  '__proto__',
  'constructor',
  'a,b',
  '(c)',
  '-- no comment',
  'x'.repeat(63),
];

let folder: string;
let mysql: MysqlDatabase;
let postgres: PostgresDatabase;
let running: Running | undefined;
/** Its own name needs quoting too. */
let database: string;

/** Every cell as text, from both servers. */
async function sides(table: string, columns: readonly string[], order: string): Promise<[unknown, unknown]> {
  const [rows] = await mysql.connection.query({
    sql: `SELECT ${columns.map((name) => `CAST(${ticked(name)} AS CHAR)`).join(', ')} FROM ${ticked(table)} ORDER BY ${ticked(order)}`,
    rowsAsArray: true,
  });
  const text = `SELECT ${columns.map((name) => `${quoted(name)}::text`).join(', ')} FROM ${quoted(table)} t ORDER BY t.${quoted(order)}`;
  return [rows, (await postgres.client.query<unknown[]>({ text, rowMode: 'array' })).rows];
}

async function equal(table: string, columns: readonly string[], order: string, rows: number): Promise<void> {
  await eventually(`${rows} rows of ${table} in Postgres, as in MySQL`, async () => {
    const [left, right] = await sides(table, columns, order);
    return JSON.stringify(left) === JSON.stringify(right) && (left as unknown[]).length === rows ? true : undefined;
  }).catch(async (error: unknown) => {
    const [left, right] = await sides(table, columns, order);
    expect(right, running?.text().slice(-2000)).toEqual(left);
    throw error;
  });
}

describe.each(['mysql', 'mariadb'] as const)('G6: from the log of %s into Postgres', (flavor) => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'crossfade-wide-'));
    mysql = await freshMysqlDatabase(flavor);
    running = undefined;
    postgres = await freshPostgresDatabase();
    database = `${mysql.name} "q".x`;
    const sql = (statement: string) => mysql.connection.query(statement);
    await sql(`CREATE DATABASE ${ticked(database)} CHARACTER SET utf8mb4`);
    await sql(`USE ${ticked(database)}`);
    await sql(
      `CREATE TABLE wide (id INT PRIMARY KEY, ${wideColumns.map(({ name, type }) => `${ticked(name)} ${type}`).join(', ')}) CHARACTER SET utf8mb4`,
    );
    const [first = '', ...others] = oddColumns;
    await sql(
      `CREATE TABLE ${ticked(oddTable)} (${ticked(first)} VARCHAR(9), ${others.map((name) => `${ticked(name)} INT`).join(', ')}, PRIMARY KEY (${ticked(first)}, ${ticked('UPPER')}))`,
    );
  });
  afterAll(async () => {
    running?.child.kill('SIGTERM');
    await running?.finished;
    await mysql.connection.query(`DROP DATABASE IF EXISTS ${ticked(database)}`);
    await mysql[Symbol.asyncDispose]();
    await postgres[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  test('init and check propose the tables, and are content with them', async () => {
    const cli = (...args: string[]) => runCli(args, { cwd: folder });
    const url = new URL(mysql.url);
    url.pathname = `/${encodeURIComponent(database)}`;
    expect(await cli('init', url.href, postgres.url)).toMatchObject({ code: 0, stderr: '' });
    await postgres.client.query((await cli('check', '--statements')).stdout);
    expect(await cli('check'), readFileSync(join(folder, 'crossfade.yaml'), 'utf8')).toMatchObject({ code: 0, stderr: '' });
    const started = startCli(['run'], { cwd: folder });
    running = started;
    await eventually('capture streams', () => captures(started));
  }, 120_000);

  test('a thousand columns, each in its place', async () => {
    const names = wideColumns.map(({ name }) => name);
    const row = (id: number) =>
      `(${[id, ...wideColumns.map(({ value }, at) => ((at + id) % 11 === 0 ? 'NULL' : `'${value(at + id)}'`))].join(', ')})`;
    await mysql.connection.query(`INSERT INTO wide VALUES ${Array.from({ length: 40 }, (_, id) => row(id)).join(', ')}`);
    await mysql.connection.query("UPDATE wide SET `column 998` = 7, `column 0` = -1, `column 499` = 'new' WHERE id = 3");
    await mysql.connection.query('UPDATE wide SET id = 1000 WHERE id = 5');
    await mysql.connection.query('DELETE FROM wide WHERE id = 4');
    await equal('wide', ['id', ...names], 'id', 39);
  });

  test('tables, columns and keys whose names need quoting', async () => {
    const values = (key: string, n: number) =>
      `('${key}', ${oddColumns
        .slice(1)
        .map((_, at) => n * 100 + at)
        .join(', ')})`;
    await mysql.connection.query(`INSERT INTO ${ticked(oddTable)} VALUES ${values('one', 1)}, ${values('two', 2)}, ${values('three', 3)}`);
    await mysql.connection.query(
      `UPDATE ${ticked(oddTable)} SET ${ticked('__proto__')} = -1, ${ticked('UPPER')} = 5 WHERE ${ticked('a"b')} = 'two'`,
    );
    await mysql.connection.query(`DELETE FROM ${ticked(oddTable)} WHERE ${ticked('a"b')} = 'one'`);
    await equal(oddTable, oddColumns, 'a"b', 2);
  });
});
