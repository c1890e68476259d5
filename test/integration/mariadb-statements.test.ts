/** MariaDB's own statements around captured rows: what is carried, what stops, and where a new pipeline can begin then. */
import type { Connection } from 'mysql2/promise';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { freshMysqlDatabase, type MysqlDatabase } from '../support/servers.ts';
import { mysqlSettings, mysqlSource, readChanges, readFailure } from '../support/mysql-server.ts';

let database: MysqlDatabase;
let sql: Connection;
const open = () => mysqlSource(mysqlSettings(database.url), [{ database: database.name, table: 't' }]);
const run = async (...statements: string[]) => {
  for (const statement of statements) await sql.query(statement);
};
beforeEach(async () => {
  database = await freshMysqlDatabase('mariadb');
  sql = database.connection;
  await run('CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(40))', 'CREATE TABLE other (id INT PRIMARY KEY)');
});
afterEach(() => database[Symbol.asyncDispose]());

test('statements of its own around rows', async () => {
  const source = open();
  const start = await source.start();
  await run(
    'CREATE SEQUENCE s',
    'SELECT NEXTVAL(s)',
    'SELECT SETVAL(s, 700)',
    "INSERT INTO t VALUES (NEXTVAL(s), 'a')",
    'ALTER SEQUENCE s RESTART 5',
    'CREATE OR REPLACE TABLE versioned (id INT PRIMARY KEY, n INT) WITH SYSTEM VERSIONING',
    'INSERT INTO versioned VALUES (1, 1)',
    'UPDATE versioned SET n = 2',
    'DELETE HISTORY FROM versioned',
    'CREATE OR REPLACE TABLE copied AS SELECT * FROM t',
    'ALTER TABLE IF EXISTS other WAIT 5 ADD COLUMN IF NOT EXISTS extra INT',
    'RENAME TABLE other WAIT 5 TO other2',
    'DROP SEQUENCE s',
    'SET STATEMENT max_statement_time = 5 FOR DROP TABLE other2',
    'ALTER TABLE t NOWAIT ADD COLUMN IF NOT EXISTS extra UUID NULL',
    'SET STATEMENT max_statement_time = 5 FOR TRUNCATE TABLE t',
    "BEGIN NOT ATOMIC INSERT INTO t (id, name) VALUES (1, 'b'); INSERT INTO t (id, name) VALUES (2, 'c'); END",
    "INSERT INTO t (id, name) VALUES (3, 'd') RETURNING id",
  );
  const { changes } = await readChanges(source, start, 5);
  expect(changes.map(({ op, key }) => `${op} ${(key as { id?: number } | null)?.id ?? ''}`.trim())).toEqual([
    'c 701',
    't',
    'c 1',
    'c 2',
    'c 3',
  ]);
});

test.each([
  ['SET STATEMENT max_statement_time = 5 FOR DROP TABLE t', 'DROP TABLE'],
  ['CREATE OR REPLACE TABLE t (id INT PRIMARY KEY)', 'CREATE OR REPLACE TABLE'],
  ['CREATE OR REPLACE TABLE t AS SELECT 1 AS id', 'CREATE OR REPLACE TABLE'],
  ['RENAME TABLE IF EXISTS t WAIT 5 TO gone', 'RENAME TABLE'],
  ['ALTER TABLE t ADD SYSTEM VERSIONING', 'ADD COLUMN'],
  ['ALTER ONLINE TABLE IF EXISTS t DROP COLUMN IF EXISTS name', 'DROP COLUMN'],
  ['ALTER IGNORE TABLE t ADD UNIQUE (name)', 'IGNORE'],
  ['CREATE OR REPLACE SEQUENCE t', 'CREATE OR REPLACE SEQUENCE'],
])('G1: %s stops', async (statement, what) => {
  const source = open();
  const start = await source.start();
  await run(statement);
  const error = await readFailure(source, start);
  expect(error).toMatchObject({ code: 'SOURCE_STATEMENT_UNSUPPORTED', fault: 'fatal' });
  expect(error.message).toContain(what);
  // Right behind it a new pipeline can begin.
  expect(error.remedy).toMatch(/start: \{ gtid: '\d+-\d+-\d+/);
});

test('G1: CREATE OR REPLACE DATABASE stops: its tables are gone', async () => {
  const source = open();
  const start = await source.start();
  await run(`CREATE OR REPLACE DATABASE ${database.name}`);
  expect((await readFailure(source, start)).message).toContain('CREATE OR REPLACE DATABASE');
});

test('G1: ANALYZE of a statement runs it: its rows come, or where it is written as a statement it stops', async () => {
  const source = open();
  await run("INSERT INTO t VALUES (1, 'a')");
  const start = await source.start();
  await run("ANALYZE UPDATE t SET name = 'b'", 'ANALYZE TABLE t');
  const { changes, position } = await readChanges(source, start, 1);
  expect(changes).toMatchObject([{ op: 'u', after: { id: 1, name: 'b' } }]);
  await run(
    "SET SESSION binlog_format = 'STATEMENT'",
    "SET STATEMENT max_statement_time = 5 FOR ANALYZE FORMAT=JSON UPDATE t SET name = 'c'",
  );
  expect((await readFailure(source, position)).message).toContain('UPDATE');
});

/** A table of a session's own that is dropped makes the server write what it rolls back. */
const keepsRollback = ['CREATE TEMPORARY TABLE own (id INT)', 'DROP TEMPORARY TABLE IF EXISTS own, none'];

test('G1: a savepoint is found by the name that the server takes for the same', async () => {
  const source = open();
  const start = await source.start();
  await run('BEGIN', "INSERT INTO t VALUES (1, 'a')", 'SAVEPOINT `Straße á`', "INSERT INTO t VALUES (2, 'b')", ...keepsRollback);
  await run('ROLLBACK TO `STRASE A`', "INSERT INTO t VALUES (3, 'c')", 'COMMIT');
  const { changes } = await readChanges(source, start, 2);
  expect(changes.map(({ key }) => key)).toEqual([{ id: 1 }, { id: 3 }]);
});

test('G1: a rollback to a savepoint whose name a trigger sets too stops', async () => {
  await run('CREATE TRIGGER other_t AFTER INSERT ON t FOR EACH ROW BEGIN SAVEPOINT a; INSERT INTO other VALUES (NEW.id); END');
  const source = open();
  const start = await source.start();
  await run(
    'BEGIN',
    "INSERT INTO t VALUES (1, 'a')",
    'SAVEPOINT a',
    "INSERT INTO t VALUES (2, 'b')",
    ...keepsRollback,
    'ROLLBACK TO a',
    'COMMIT',
  );
  expect(await readFailure(source, start)).toMatchObject({
    code: 'SOURCE_EVENT_UNSUPPORTED',
    remedy: expect.stringContaining('trigger'),
  });
});

test('a table whose name differs only in case is another one', async () => {
  await run('CREATE TABLE T (id INT PRIMARY KEY)');
  const source = open();
  const start = await source.start();
  await run('TRUNCATE TABLE T', 'DROP TABLE T', "INSERT INTO t VALUES (1, 'a')");
  expect((await readChanges(source, start, 1)).changes.map(({ op }) => op)).toEqual(['c']);
});

test('G1: an ALTER that is written in two phases is judged once it is decided', async () => {
  const source = open();
  const start = await source.start();
  await run('INSERT INTO t VALUES (1, NULL), (2, NULL)', 'SET SESSION binlog_alter_two_phase = ON');
  // It fails after its START was written, which leaves everything as it was.
  await sql.query('ALTER TABLE t MODIFY name VARCHAR(50) NOT NULL').catch((error: Error) => error);
  await run("INSERT INTO t VALUES (3, 'c')");
  const { changes, position } = await readChanges(source, start, 3);
  expect(changes.map(({ key }) => (key as { id: number }).id)).toEqual([1, 2, 3]);
  await run('ALTER TABLE t MODIFY name VARCHAR(60)');
  expect(await readFailure(source, position)).toMatchObject({ code: 'SOURCE_STATEMENT_UNSUPPORTED' });
});
