/** Transactions and events that the servers compress: MySQL's payloads (zstd), MariaDB's rows and statements (zlib). */
import { createConnection, type Connection } from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Stack } from '../../stack/stack.ts';
import { freshMysqlDatabase, privateStack, type MysqlDatabase } from '../support/servers.ts';
import { mysqlSettings, mysqlSource, readChanges, readFailure, type Reading } from '../support/mysql-server.ts';

const keys = ({ changes }: Reading) => changes.map(({ key }) => (key as { id: number }).id);
const increases = (versions: readonly string[]) => versions.every((version, at) => at === 0 || version > (versions[at - 1] as string));

describe('MySQL', () => {
  let database: MysqlDatabase;
  let sql: Connection;
  const open = (options = {}) => mysqlSource(mysqlSettings(database.url), [{ database: database.name, table: 't' }], options);
  const run = async (...statements: string[]) => {
    for (const statement of statements) await sql.query(statement);
  };
  /** The types of events that lie behind `from`. */
  const eventsSince = async ({ file, pos }: { file: string; pos: number }) =>
    ((await sql.query(`SHOW BINLOG EVENTS IN '${file}' FROM ${pos} LIMIT 1000`))[0] as unknown as { Event_type: string }[]).map(
      ({ Event_type }) => Event_type,
    );

  beforeEach(async () => {
    database = await freshMysqlDatabase();
    sql = database.connection;
    await run('CREATE TABLE t (id INT PRIMARY KEY, body LONGTEXT)', 'SET SESSION binlog_transaction_compression = ON');
  });
  afterEach(() => database[Symbol.asyncDispose]());

  test('rows come out of a payload as they do without, and reading goes on behind it', async () => {
    const source = open();
    const start = await source.start();
    await run(
      "INSERT INTO t VALUES (1, REPEAT('a', 500)), (2, 'b')",
      'BEGIN',
      "UPDATE t SET body = 'x'",
      'DELETE FROM t WHERE id = 2',
      "INSERT INTO t VALUES (3, 'c')",
      'COMMIT',
    );
    expect(await eventsSince(JSON.parse(start) as { file: string; pos: number })).toContain('Transaction_payload');
    const reading = await readChanges(source, start, 6);
    expect(reading.changes.map(({ op, key, ordinal }) => `${op} ${(key as { id: number }).id} ${ordinal}`)).toEqual([
      'c 1 0',
      'c 2 1',
      'u 1 0',
      'u 2 1',
      'd 2 2',
      'c 3 3',
    ]);
    expect(reading.changes[2]?.before).toEqual({ id: 1, body: 'a'.repeat(500) });
    expect(increases(reading.changes.map(({ version }) => version))).toBe(true);
    await run("INSERT INTO t VALUES (4, 'd')", 'SET SESSION binlog_transaction_compression = OFF', "INSERT INTO t VALUES (5, 'e')");
    expect(keys(await readChanges(open(), reading.position, 2))).toEqual([4, 5]);
  });

  test('by file and offset it is met again too', async () => {
    const [status] = (await sql.query('SHOW BINARY LOG STATUS'))[0] as unknown as { File: string; Position: string }[];
    const settings = mysqlSettings(database.url, { start: { file: status?.File ?? '', offset: Number(status?.Position) } });
    const source = mysqlSource(settings, [{ database: database.name, table: 't' }]);
    const from = await source.start();
    await run("INSERT INTO t VALUES (1, 'a')");
    const first = await readChanges(source, from, 1);
    await run("INSERT INTO t VALUES (2, 'b')");
    expect(keys(await readChanges(source, first.position, 1))).toEqual([2]);
  });

  test('an XA transaction and one with savepoints may be compressed', async () => {
    const source = open();
    const start = await source.start();
    const xid = `${database.name}-x`;
    await run(`XA START '${xid}'`, "INSERT INTO t VALUES (1, 'a')", `XA END '${xid}'`, `XA PREPARE '${xid}'`);
    const second = await createConnection({ uri: database.url });
    await second.query("INSERT INTO t VALUES (2, 'b')");
    const before = await readChanges(source, start, 1);
    expect(keys(before)).toEqual([2]);
    await run(`XA COMMIT '${xid}'`);
    await second.end();
    await run('BEGIN', "INSERT INTO t VALUES (3, 'c')", 'SAVEPOINT s', "INSERT INTO t VALUES (4, 'lost')", 'ROLLBACK TO s', 'COMMIT');
    expect(keys(await readChanges(open(), before.position, 2))).toEqual([1, 3]);
  });

  test('G1: what is refused in a payload says where reading can go on', async () => {
    const source = open();
    const start = await source.start();
    await run('SET SESSION binlog_row_image = MINIMAL', 'INSERT INTO t (id) VALUES (1)');
    const error = await readFailure(source, start);
    expect(error).toMatchObject({ code: 'SOURCE_ROW_INCOMPLETE' });
    expect(error.remedy).toContain("start: { gtid: '");
  });

  test('G9: a payload of many megabytes flows in parts and does not pile up in memory', async () => {
    const source = open({ partBytes: 1_000_000 });
    const start = await source.start();
    await run('BEGIN');
    const count = 160;
    // Compresses well (repeated) and is long: a megabyte a row.
    for (let id = 0; id < count; id += 20) {
      const rows = Array.from({ length: 20 }, (_, index) => `(${id + index}, REPEAT('${'abcdefghij'.repeat(10)}', 10000))`);
      await run(`INSERT INTO t VALUES ${rows.join(', ')}`);
    }
    await run('COMMIT');
    expect(await eventsSince(JSON.parse(start) as { file: string; pos: number })).toContain('Transaction_payload');
    let most = 0;
    let seen = 0;
    let parts = 0;
    for await (const batch of source.read(start, AbortSignal.timeout(60_000))) {
      most = Math.max(most, source.bufferedBytes);
      seen += batch.changes.length;
      parts += 1;
      for (const { after } of batch.changes) expect(after?.length).toBeGreaterThan(1_000_000);
      if (seen === count && !batch.open) break;
    }
    expect(seen).toBe(count);
    expect(parts).toBeGreaterThan(20);
    expect(most).toBeLessThan(16_000_000);
  }, 90_000);
});

describe('MariaDB with log_bin_compress', () => {
  let stack: Stack<'mariadb'>;
  let sql: Connection;
  const open = () => mysqlSource(mysqlSettings(stack.urls.mariadb), [{ database: 'c', table: 't' }]);
  beforeAll(async () => {
    stack = await privateStack({
      servers: ['mariadb'],
      extraArgs: { mariadb: ['--log-bin-compress=ON', '--log-bin-compress-min-len=10'] },
    });
    sql = await createConnection({ uri: stack.urls.mariadb });
    await sql.query('CREATE DATABASE c');
    await sql.query('CREATE TABLE c.t (id INT PRIMARY KEY, body LONGTEXT)');
  }, 120_000);
  afterAll(async () => {
    await sql.end();
    await stack[Symbol.asyncDispose]();
  });

  test('rows and statements are read out of their compressed events', async () => {
    const source = open();
    const start = await source.start();
    for (const statement of [
      "INSERT INTO c.t VALUES (1, REPEAT('a', 5000)), (2, 'b')",
      "UPDATE c.t SET body = REPEAT('x', 300)",
      'DELETE FROM c.t WHERE id = 2',
      "CREATE TABLE c.other (id INT PRIMARY KEY, a_long_name_of_a_column VARCHAR(200) DEFAULT 'and a long default')",
      'INSERT INTO c.other (id) VALUES (1), (2), (3), (4), (5), (6), (7), (8)',
      "INSERT INTO c.t VALUES (3, 'c')",
    ])
      await sql.query(statement);
    const { file, pos } = JSON.parse(start) as { file: string; pos: number };
    const events = (await sql.query(`SHOW BINLOG EVENTS IN '${file}' FROM ${pos}`))[0] as unknown as { Event_type: string }[];
    expect(events.map(({ Event_type }) => Event_type)).toEqual(
      expect.arrayContaining(['Write_rows_compressed_v1', 'Update_rows_compressed_v1', 'Query_compressed']),
    );
    const { changes } = await readChanges(source, start, 6);
    expect(changes.map(({ op, key }) => `${op} ${(key as { id: number }).id}`)).toEqual(['c 1', 'c 2', 'u 1', 'u 2', 'd 2', 'c 3']);
    expect(changes[0]?.after).toEqual({ id: 1, body: 'a'.repeat(5000) });
    expect(changes[2]?.after).toEqual({ id: 1, body: 'x'.repeat(300) });
  });

  test('G1: a compressed statement on a captured table is judged like any other', async () => {
    const source = open();
    const start = await source.start();
    await sql.query('ALTER TABLE c.t MODIFY body MEDIUMTEXT NOT NULL');
    expect(await readFailure(source, start)).toMatchObject({ code: 'SOURCE_STATEMENT_UNSUPPORTED' });
  });
});
