import { readFile } from 'node:fs/promises';
import ZongJi from '@vlasky/zongji';
import type { Connection } from 'mysql2/promise';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { highBytes } from '../../connectors/mysql/stream/outbox.ts';
import type { TableId } from '../../src/core/change.ts';
import { freshMysqlDatabase, type MysqlDatabase } from '../support/servers.ts';
import { mysqlSettings, mysqlSource, readChanges, readFailure, until } from '../support/mysql-server.ts';

let database: MysqlDatabase;
let sql: Connection;
const table = (name: string): TableId => ({ database: database.name, table: name });
const open = (...tables: string[]) => mysqlSource(mysqlSettings(database.url), tables.map(table));
const run = async (...statements: string[]) => {
  for (const statement of statements) await sql.query(statement);
};

beforeEach(async () => {
  database = await freshMysqlDatabase();
  sql = database.connection;
  await run('CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(40))', 'CREATE TABLE other (id INT PRIMARY KEY, name VARCHAR(40))');
});
afterEach(() => database[Symbol.asyncDispose]());

test('a transaction over several tables is one transaction, multi-row statements and all', async () => {
  const source = open('t', 'other');
  const start = await source.start();
  await run("INSERT INTO t VALUES (1, 'a'), (2, 'b')");
  await run(
    'BEGIN',
    "UPDATE t, other SET t.name = 'x' WHERE t.id = 1",
    "INSERT INTO other VALUES (7, 'o')",
    "UPDATE t JOIN other ON 1 = 1 SET t.name = 'y', other.name = 'z' WHERE t.id = 2",
    'DELETE FROM t',
    'COMMIT',
  );
  const { changes } = await readChanges(source, start, 7);
  expect(changes.map(({ op, table, ordinal }) => `${op} ${table} ${ordinal}`)).toEqual([
    'c t 0',
    'c t 1',
    'c other 0',
    'u t 1',
    'u other 2',
    'd t 3',
    'd t 4',
  ]);
});

test('savepoints: what was rolled back to them does not come', async () => {
  const source = open('t');
  const start = await source.start();
  await run(
    'BEGIN',
    "INSERT INTO t VALUES (1, 'kept')",
    'SAVEPOINT a',
    "INSERT INTO t VALUES (2, 'lost')",
    'ROLLBACK TO a',
    "INSERT INTO t VALUES (3, 'kept')",
    'COMMIT',
  );
  await run('BEGIN', "INSERT INTO t VALUES (4, 'lost')", 'ROLLBACK', "INSERT INTO t VALUES (5, 'kept')");
  const { changes } = await readChanges(source, start, 3);
  expect(changes.map((change) => change.key)).toEqual([{ id: 1 }, { id: 3 }, { id: 5 }]);
});

test('XA transactions of one phase, and of two phases, between ordinary ones', async () => {
  const source = open('t');
  const start = await source.start();
  await run("XA START 'x1'", "INSERT INTO t VALUES (1, 'a')", "XA END 'x1'", "XA COMMIT 'x1' ONE PHASE");
  await run(
    "XA START 'x2'",
    'INSERT INTO other VALUES (1, NULL)',
    "XA END 'x2'",
    "XA PREPARE 'x2'",
    "XA COMMIT 'x2'",
    "INSERT INTO t VALUES (2, 'b')",
  );
  const { changes, position } = await readChanges(source, start, 2);
  expect(changes.map((change) => change.key)).toEqual([{ id: 1 }, { id: 2 }]);
  await run("XA START 'x3'", "INSERT INTO t VALUES (3, 'a')", "XA END 'x3'", "XA PREPARE 'x3'", "XA ROLLBACK 'x3'");
  await run("XA START 'x4'", "INSERT INTO t VALUES (4, 'a')", "XA END 'x4'", "XA PREPARE 'x4'", "XA COMMIT 'x4'");
  expect((await readChanges(source, position, 1)).changes.map((change) => change.key)).toEqual([{ id: 4 }]);
});

test('resuming by file and offset proves the last transaction and goes on right behind it', async () => {
  const source = open('t');
  await run("INSERT INTO t VALUES (1, 'a')");
  const [status] = (await sql.query('SHOW BINARY LOG STATUS'))[0] as unknown as { File: string; Position: string }[];
  const settings = mysqlSettings(database.url, { start: { file: status?.File ?? '', offset: Number(status?.Position) } });
  const named = mysqlSource(settings, [table('t')]);
  const from = await named.start();
  expect(JSON.parse(from)).toMatchObject({ gtid: null });
  await run("INSERT INTO t VALUES (2, 'b')");
  const { changes, position } = await readChanges(source, from, 1);
  expect(changes.map((change) => change.key)).toEqual([{ id: 2 }]);
  const [executed] = (await sql.query('SELECT @@GLOBAL.gtid_executed AS g'))[0] as unknown as { g: string }[];
  // The GTID set at the named place was collected from the file; other suites may have added to the server's since.
  const { gtid } = JSON.parse(position) as { gtid: string };
  const [same] = (await sql.query('SELECT GTID_SUBSET(?, ?) AS inside', [gtid, executed?.g]))[0] as unknown as { inside: string }[];
  expect(Number(same?.inside)).toBe(1);
  await run("INSERT INTO t VALUES (3, 'c')");
  expect((await readChanges(open('t'), position, 1)).changes.map((change) => change.key)).toEqual([{ id: 3 }]);
});

test('a start that the configuration names by GTID set begins right behind it', async () => {
  await run("INSERT INTO t VALUES (1, 'a')");
  const [executed] = (await sql.query('SELECT @@GLOBAL.gtid_executed AS g'))[0] as unknown as { g: string }[];
  await run("INSERT INTO t VALUES (2, 'b')");
  const source = mysqlSource(mysqlSettings(database.url, { start: { gtid: executed?.g ?? '' } }), [table('t')]);
  expect((await readChanges(source, await source.start(), 1)).changes.map((change) => change.key)).toEqual([{ id: 2 }]);
});

test('tagged GTIDs are followed', async () => {
  const source = open('t');
  const start = await source.start();
  await run(
    "SET SESSION gtid_next = 'AUTOMATIC:crossfade'",
    "INSERT INTO t VALUES (1, 'a')",
    "INSERT INTO t VALUES (2, 'b')",
    "SET SESSION gtid_next = 'AUTOMATIC'",
  );
  const { changes, position } = await readChanges(source, start, 2);
  expect(changes[1]?.transaction).toMatch(/:crossfade:\d+$/);
  await run("INSERT INTO t VALUES (3, 'c')");
  expect((await readChanges(source, position, 1)).changes.map((change) => change.key)).toEqual([{ id: 3 }]);
});

test('a MINIMAL row image stops', async () => {
  const source = open('t');
  await run("INSERT INTO t VALUES (1, 'a')");
  const start = await source.start();
  await run(
    'SET SESSION binlog_row_image = MINIMAL',
    "UPDATE other SET name = 'x'",
    "INSERT INTO other VALUES (1, 'a')",
    "UPDATE other SET name = 'x'",
    "UPDATE t SET name = 'b'",
  );
  expect(await readFailure(source, start)).toMatchObject({ code: 'SOURCE_ROW_INCOMPLETE', fault: 'fatal' });
});

test.each([
  ['DROP TABLE t', 'DROP'],
  ['RENAME TABLE t TO gone', 'RENAME'],
  ['ALTER TABLE t RENAME TO gone', 'RENAME'],
  ['RENAME TABLE other TO gone, t TO other', 'RENAME'],
  ['ALTER TABLE t MODIFY name VARCHAR(50)', 'MODIFY'],
  ['ALTER TABLE t ADD n INT NOT NULL DEFAULT 5', 'ADD COLUMN'],
  ['ALTER TABLE t DROP COLUMN name', 'DROP COLUMN'],
  ['ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (id, name)', 'DROP PRIMARY KEY'],
  ['ALTER /* tool */ TABLE t /*!80000 RENAME COLUMN name TO label */', 'RENAME COLUMN'],
  ['DROP INDEX `PRIMARY` ON t', 'DROP PRIMARY KEY'],
])('G1: %s on a captured table stops', async (statement, what) => {
  const source = open('t');
  const start = await source.start();
  await run(statement);
  const error = await readFailure(source, start);
  expect(error).toMatchObject({ code: 'SOURCE_STATEMENT_UNSUPPORTED', fault: 'fatal' });
  expect(error.message).toContain(what);
  expect(error.message).toContain(`${database.name}.t, at `);
});

test("G1: a tool's copy of a captured table, swapped in, stops", async () => {
  const source = open('t');
  const start = await source.start();
  await run(
    'CREATE TABLE _t_gho LIKE t',
    'ALTER TABLE _t_gho MODIFY name VARCHAR(2)',
    "INSERT INTO _t_gho VALUES (1, 'a')",
    "INSERT INTO t VALUES (1, 'a')",
  );
  const { position } = await readChanges(source, start, 1);
  await run('RENAME TABLE t TO _t_del, _t_gho TO t');
  expect(await readFailure(source, position)).toMatchObject({ code: 'SOURCE_STATEMENT_UNSUPPORTED' });
});

test('the same statements on other tables, and DDL that loses nothing, pass', async () => {
  const source = open('t');
  const start = await source.start();
  await run(
    'TRUNCATE TABLE other',
    'DROP TABLE other',
    'CREATE TABLE c2 AS SELECT * FROM t',
    'CREATE TABLE u (id INT PRIMARY KEY, amt DECIMAL(9,2))',
    'ALTER TABLE u MODIFY amt DECIMAL(9,0), ADD n INT NOT NULL DEFAULT 5',
    "ALTER TABLE t ADD COLUMN extra INT NULL COMMENT 'drop column' AFTER name, ADD INDEX j (name), ALGORITHM=INPLACE, LOCK=NONE",
    'ALTER TABLE t DROP INDEX j, ADD UNIQUE KEY k (name), ADD CONSTRAINT c CHECK (id > 0)',
    "ALTER TABLE t ALTER COLUMN name SET DEFAULT 'x', COMMENT = 'modify', ENGINE=InnoDB",
    'OPTIMIZE TABLE t',
    "INSERT INTO t VALUES (1, 'a', 5)",
    'CREATE INDEX i ON t (name)',
  );
  const { changes } = await readChanges(source, start, 1);
  expect(changes[0]?.after).toEqual({ id: 1, name: 'a', extra: 5 });
});

test('rows by statement stop where they may be ours, and pass where the whole database is of no concern', async () => {
  const source = open('t');
  const start = await source.start();
  await using elsewhere = await freshMysqlDatabase();
  await elsewhere.connection.query('CREATE TABLE log (id INT PRIMARY KEY, at DATETIME)');
  await elsewhere.connection.query('SET SESSION binlog_format = STATEMENT');
  await elsewhere.connection.query("INSERT INTO log VALUES (1, NOW()), (2, '2026-01-01')");
  await elsewhere.connection.query(`REPLACE INTO log (id) SELECT COUNT(*) FROM ${database.name}.t`);
  await run("INSERT INTO t VALUES (1, 'a')");
  const { position } = await readChanges(source, start, 1);
  await run('SET SESSION binlog_format = STATEMENT', "INSERT INTO t VALUES (2, 'b')");
  const error = await readFailure(source, position);
  expect(error).toMatchObject({ code: 'SOURCE_STATEMENT_UNSUPPORTED', fault: 'fatal' });
  expect(error.message).toContain(`INSERT on ${database.name}.t, written as a statement (default database ${database.name}), at `);
});

test('the rows of a table that nobody maps are counted, whatever their types', async () => {
  await run('CREATE TABLE j (id INT PRIMARY KEY, doc JSON, place POINT, v VECTOR(3))');
  const plainSource = open('t');
  const start = await plainSource.start();
  await run(
    'BEGIN',
    `INSERT INTO j VALUES (1, '{"a": 1}', ST_GeomFromText('POINT(1 2)'), TO_VECTOR('[1,2,3]')), (2, NULL, NULL, NULL)`,
    "INSERT INTO t VALUES (1, 'a')",
    'COMMIT',
  );
  expect((await readChanges(plainSource, start, 1)).changes[0]?.ordinal).toBe(2);
  expect((await readChanges(open('j'), start, 2)).changes.map(({ ordinal }) => ordinal)).toEqual([0, 1]);
});

test('a table without a primary key uses a unique key without NULL, else what the configuration names, else stops', async () => {
  await run('CREATE TABLE u (a INT NOT NULL, b INT NOT NULL, c INT, UNIQUE (c), UNIQUE (a, b))', 'CREATE TABLE n (a INT, b INT)');
  const start = await open('u').start();
  await run('INSERT INTO u VALUES (1, 2, 3)', 'INSERT INTO n VALUES (4, 5)');
  expect((await readChanges(open('u'), start, 1)).changes[0]?.key).toEqual({ a: 1, b: 2 });
  expect(await readFailure(open('n'), start)).toMatchObject({ code: 'SOURCE_TABLE_KEYLESS' });
  const named = mysqlSource(mysqlSettings(database.url), [table('n')], { keys: new Map([[`${database.name}.n`, ['b']]]) });
  expect((await readChanges(named, start, 1)).changes[0]?.key).toEqual({ b: 5 });
});

test('a reader with the same server id takes the place, and the older one says why', async () => {
  const settings = mysqlSettings(database.url, { serverId: 4_000_000_001 });
  const older = mysqlSource(settings, [table('t')]);
  const start = await older.start();
  const reading = older.read(start, AbortSignal.timeout(20_000))[Symbol.asyncIterator]();
  await reading.next();
  const newer = mysqlSource(settings, [table('t')]).read(start, AbortSignal.timeout(20_000));
  await newer.next();
  const end = (async () => {
    for (;;) await reading.next();
  })();
  // Fatal: were it to come again, it would end the newer one, and so on without end.
  await expect(end).rejects.toMatchObject({ code: 'SOURCE_SERVER_ID_TAKEN', fault: 'fatal' });
  await newer.return();
});

test('a consumer that does not pull pauses the socket, and gets everything once it does', async () => {
  await run('CREATE TABLE big (id INT PRIMARY KEY, body LONGTEXT)');
  const source = open('big');
  const start = await source.start();
  const reading = source.read(start, AbortSignal.timeout(30_000))[Symbol.asyncIterator]();
  await reading.next();
  const pull = reading.next();
  for (let id = 0; id < 40; id += 1) await sql.query('INSERT INTO big VALUES (?, REPEAT(?, 500000))', [id, 'ü']);
  let count = (await pull).value?.changes.length ?? 0;
  await until(() => source.bufferedBytes >= highBytes - 1_000_000);
  const held = source.bufferedBytes;
  expect(held).toBeLessThan(highBytes + 2_000_000);
  while (count < 40) count += (await reading.next()).value?.changes.length ?? 0;
  expect(count).toBe(40);
  await reading.return?.();
});

test('the hook into zongji 0.9.0 is where we expect it', async () => {
  const { version } = JSON.parse(await readFile('node_modules/@vlasky/zongji/package.json', 'utf8')) as { version: string };
  expect(version).toBe('0.9.0');
  // Our class must be made from what the `ready` handler left there, and its `start` must answer the next step.
  expect(ZongJi.prototype.start.toString()).toMatch(/this\.emit\('ready'\)[^]*addCommand\(new this\.BinlogClass\(/);
});
