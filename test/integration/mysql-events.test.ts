/** Events of real servers of both flavors: TRUNCATE, statements among rows, savepoints, engines that do not roll back, checksums that change. */
import { Readable } from 'node:stream';
import { createConnection, type Connection } from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Stack } from '../../stack/stack.ts';
import { freshMysqlDatabase, privateStack, type MysqlDatabase } from '../support/servers.ts';
import { mysqlSettings, mysqlSource, readChanges, readFailure } from '../support/mysql-server.ts';
import type { PlainChange } from '../support/source-harness.ts';

const keys = (changes: readonly PlainChange[]) => changes.map(({ key }) => (key as { id: number } | null)?.id);

describe.each(['mysql', 'mariadb'] as const)('%s', (flavor) => {
  let database: MysqlDatabase;
  let sql: Connection;
  const open = (options = {}, tables = ['t']) =>
    mysqlSource(
      mysqlSettings(database.url),
      tables.map((table) => ({ database: database.name, table })),
      options,
    );
  const run = async (...statements: string[]) => {
    for (const statement of statements) await sql.query(statement);
  };

  beforeEach(async () => {
    database = await freshMysqlDatabase(flavor);
    sql = database.connection;
    await run(
      'CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(4000))',
      'CREATE TABLE m (id INT PRIMARY KEY, name VARCHAR(40)) ENGINE=MyISAM',
    );
  });
  afterEach(() => database[Symbol.asyncDispose]());

  test('TRUNCATE of a captured table is a change of its own, in order', async () => {
    const source = open();
    const start = await source.start();
    await run(
      'TRUNCATE TABLE t',
      "INSERT INTO t VALUES (1, 'a')",
      `TRUNCATE ${database.name}.t`,
      'TRUNCATE m',
      "INSERT INTO t VALUES (1, 'b')",
    );
    const { changes, position } = await readChanges(source, start, 4);
    expect(changes.map(({ op, table }) => `${op} ${table}`)).toEqual(['t t', 'c t', 't t', 'c t']);
    expect(changes[0]).toMatchObject({ before: null, after: null, ordinal: 0, oldKey: null });
    expect(new Set(changes.map(({ transaction }) => transaction)).size).toBe(4);
    expect(changes.map(({ version }) => version)).toEqual(changes.map(({ version }) => version).toSorted());
    await run('TRUNCATE t');
    const more = await readChanges(open(), position, 1);
    expect(more.changes.map(({ op }) => op)).toEqual(['t']);
    await run("INSERT INTO t VALUES (3, 'c')");
    expect(keys((await readChanges(open(), more.position, 1)).changes)).toEqual([3]);
  });

  test("a session's own temporary table of the same name is another one", async () => {
    const source = open();
    const start = await source.start();
    for (const format of ['ROW', 'MIXED', 'STATEMENT']) {
      const session = await createConnection({ uri: database.url });
      await session.query(`SET SESSION binlog_format = ${format}`);
      await session.query('CREATE TEMPORARY TABLE t (id INT PRIMARY KEY, x INT)');
      await session.query('TRUNCATE TABLE t');
      await session.query('DROP TEMPORARY TABLE t');
      await session.end();
    }
    await run("INSERT INTO t VALUES (1, 'a')");
    expect((await readChanges(source, start, 1)).changes.map(({ op }) => op)).toEqual(['c']);
  });

  test('savepoints in a transaction that is larger than a part', async () => {
    const source = open({ partBytes: 10_000 });
    const start = await source.start();
    const rows = (from: number, to: number) =>
      `INSERT INTO t VALUES ${Array.from({ length: to - from }, (_, index) => `(${from + index}, REPEAT('x', 1000))`).join(', ')}`;
    // A temporary table is what makes the servers write ROLLBACK TO instead of leaving the rows out.
    await run(
      'BEGIN',
      'SAVEPOINT first',
      rows(0, 50),
      'CREATE TEMPORARY TABLE scratch (id INT)',
      'SAVEPOINT a',
      rows(50, 100),
      'ROLLBACK TO a',
      rows(200, 210),
      'COMMIT',
      "INSERT INTO t VALUES (300, 'z')",
    );
    const { changes } = await readChanges(source, start, 61);
    expect(keys(changes)).toEqual([...Array.from({ length: 50 }, (_, id) => id), ...Array.from({ length: 10 }, (_, id) => 200 + id), 300]);
  });

  test('G1: statements with variables and random numbers stop on a captured table', async () => {
    await run('CREATE TABLE auto (id INT PRIMARY KEY AUTO_INCREMENT, v DOUBLE)');
    const source = open({}, ['auto']);
    const start = await source.start();
    await run('SET SESSION binlog_format = STATEMENT', 'SET @x = 5', 'INSERT INTO auto (v) VALUES (RAND() + @x), (LAST_INSERT_ID())');
    const error = await readFailure(source, start);
    expect(error).toMatchObject({ code: 'SOURCE_STATEMENT_UNSUPPORTED', fault: 'fatal' });
    expect(error.remedy).toContain('binlog_format = ROW');
  });

  test('G1: a name in the character set of an old client is the same name', async () => {
    await run('CREATE TABLE `größe` (id INT PRIMARY KEY)');
    const source = open({}, ['größe']);
    const start = await source.start();
    const session = await createConnection({ uri: database.url, charset: 'LATIN1_SWEDISH_CI' });
    for (const statement of ['INSERT INTO `größe` VALUES (1)', 'TRUNCATE TABLE `größe`', 'DROP TABLE `größe`'])
      await session.query(statement);
    await session.end();
    const { changes, position } = await readChanges(source, start, 2);
    expect(changes.map(({ op }) => op)).toEqual(['c', 't']);
    expect(await readFailure(source, position)).toMatchObject({ code: 'SOURCE_STATEMENT_UNSUPPORTED' });
  });
});

describe.each(['mysql', 'mariadb'] as const)('a %s of its own', (flavor) => {
  let stack: Stack<typeof flavor>;
  let sql: Connection;
  const tables = ['t', 'm'].map((table) => ({ database: 'c', table }));
  const open = (options = {}) => mysqlSource(mysqlSettings(stack.urls[flavor]), tables, options);
  const run = async (...statements: string[]) => {
    for (const statement of statements) await sql.query(statement);
  };
  beforeAll(async () => {
    // Without GTIDs MySQL lets engines be mixed; there reading goes by file and offset.
    const withoutGtids = ['--gtid-mode=OFF', '--enforce-gtid-consistency=OFF', '--local-infile=ON'];
    stack = await privateStack({ servers: [flavor], extraArgs: { mysql: withoutGtids, mariadb: ['--local-infile=ON'] } });
    sql = await createConnection({ uri: stack.urls[flavor] });
    await run('CREATE DATABASE far', 'CREATE TABLE far.log (id INT PRIMARY KEY, name VARCHAR(40))', 'CREATE DATABASE c', 'USE c');
  }, 120_000);
  beforeEach(async () => {
    await run('DROP TABLE IF EXISTS t, m', 'CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(4000))');
    await run('CREATE TABLE m (id INT PRIMARY KEY, name VARCHAR(4000)) ENGINE=MyISAM');
  });
  afterAll(async () => {
    await sql.end();
    await stack[Symbol.asyncDispose]();
  });

  test('G1: checksums that are switched off and on while we read, and before we connect', async () => {
    const start = await open().start();
    const reading = open().read(start, AbortSignal.timeout(30_000));
    const seen: unknown[] = [];
    let position = start;
    const take = async (count: number) => {
      while (seen.length < count) {
        const { value } = await reading.next();
        if (!value) throw new Error('the source ended');
        for (const { key } of value.changes) seen.push((JSON.parse(Buffer.from(key).toString()) as { id: number }).id);
        position = value.position;
      }
    };
    const insert = (id: number) => sql.query('INSERT INTO t VALUES (?, NULL)', [id]);
    for (const [at, algorithm] of ['CRC32', 'NONE', 'CRC32', 'NONE'].entries()) {
      await run(`SET GLOBAL binlog_checksum = ${algorithm}`);
      await insert(at + 1);
      await take(at + 1);
    }
    await reading.return();
    expect(seen).toEqual([1, 2, 3, 4]);
    // A reading that begins where there are none, then meets some, and one over all of them.
    await insert(5);
    const first = await readChanges(open(), position, 1);
    expect(keys(first.changes)).toEqual([5]);
    await run('SET GLOBAL binlog_checksum = CRC32');
    await insert(6);
    expect(keys((await readChanges(open(), first.position, 1)).changes)).toEqual([6]);
    expect(keys((await readChanges(open(), start, 6)).changes)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test.each([1 << 20, 3000])('engines that do not roll back keep what they keep (parts of %i bytes)', async (partBytes) => {
    const source = open({ partBytes });
    const start = await source.start();
    const body = "REPEAT('x', 1000)";
    await run(
      'BEGIN',
      'SAVEPOINT first',
      `INSERT INTO t VALUES (1, ${body})`,
      `INSERT INTO m VALUES (2, ${body}), (12, ${body}), (22, ${body})`,
      'SAVEPOINT a',
      `INSERT INTO m VALUES (3, ${body})`,
      `INSERT INTO t VALUES (4, ${body}), (14, ${body}), (24, ${body}), (34, ${body}), (44, ${body})`,
      'ROLLBACK TO a',
      'ROLLBACK',
      'BEGIN',
      "INSERT INTO m VALUES (5, 'kept')",
      "INSERT INTO t VALUES (6, 'kept')",
      'COMMIT',
      "INSERT INTO t VALUES (7, 'kept')",
    );
    const of = (changes: readonly PlainChange[], table: string) => keys(changes.filter((change) => change.table === table));
    const { changes } = await readChanges(source, start, 7);
    expect(of(changes, 't')).toEqual([6, 7]);
    expect(of(changes, 'm')).toEqual([2, 12, 22, 3, 5]);
    const ids = async (table: string) =>
      ((await sql.query(`SELECT id FROM ${table} ORDER BY id`))[0] as unknown as { id: number }[]).map(({ id }) => id);
    expect([await ids('t'), await ids('m')]).toEqual([
      [6, 7],
      [2, 3, 5, 12, 22],
    ]);
  });

  test('G1 G5: an open XA transaction is read again by file and offset', async () => {
    const start = await open().start();
    const session = await createConnection({ uri: stack.urls[flavor] });
    for (const statement of ["XA START 'x'", "INSERT INTO c.t VALUES (1, 'a')", "XA END 'x'", "XA PREPARE 'x'"])
      await session.query(statement);
    await session.end();
    await run("INSERT INTO t VALUES (2, 'b')", 'FLUSH BINARY LOGS', "INSERT INTO t VALUES (3, 'c')");
    const first = await readChanges(open(), start, 2);
    expect(keys(first.changes)).toEqual([2, 3]);
    await expect.poll(() => sql.query("XA COMMIT 'x'").then(() => 'done', String), { timeout: 10_000 }).toBe('done');
    await run("INSERT INTO t VALUES (4, 'd')");
    expect(keys((await readChanges(open(), first.position, 2)).changes)).toEqual([1, 4]);
  });

  test('G1: LOAD DATA by statement stops on a captured table, and passes far from one', async () => {
    const start = await open().start();
    const load = async (table: string) => {
      const session = await createConnection({ uri: stack.urls[flavor] });
      await session.query('SET SESSION binlog_format = STATEMENT');
      await session.query({
        sql: `LOAD DATA LOCAL INFILE 'rows' INTO TABLE ${table}`,
        infileStreamFactory: () => Readable.from([Buffer.from('1\ta\n2\tb\n')]),
      });
      await session.end();
    };
    await load('far.log');
    await run("INSERT INTO t VALUES (5, 'x')");
    const { changes, position } = await readChanges(open(), start, 1);
    expect(keys(changes)).toEqual([5]);
    await load('c.t');
    const error = await readFailure(open(), position);
    expect(error).toMatchObject({ code: 'SOURCE_STATEMENT_UNSUPPORTED', fault: 'fatal' });
    expect(error.message).toContain('LOAD DATA on c.t');
  });
});
