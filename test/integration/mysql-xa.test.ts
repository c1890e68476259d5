/** XA in two phases on real servers of both flavors: what is committed comes once, through restarts of the reading at any point. */
import { readdirSync, readlinkSync } from 'node:fs';
import { createConnection, type Connection } from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { MysqlPosition } from '../../connectors/mysql/position/position.ts';
import type { Stack } from '../../stack/stack.ts';
import { freshMysqlDatabase, privateStack, type MysqlDatabase } from '../support/servers.ts';
import type { MysqlSource } from '../../connectors/mysql/source.ts';
import type { CrossfadeError } from '../../src/core/errors.ts';
import { mysqlSettings, mysqlSource, readChanges, readFailure, silentLogger, until } from '../support/mysql-server.ts';
import { plain } from '../support/source-harness.ts';

/** Files without a name that this process has open, where the system tells. */
const openHeldFiles = (): readonly string[] =>
  readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return target.includes('crossfade-held-') ? [target] : [];
    } catch {
      return [];
    }
  });

describe.each(['mysql', 'mariadb'] as const)('%s', (flavor) => {
  /** Its own: what stays prepared here would keep every other suite's new pipeline waiting. */
  let stack: Stack<'mysql' | 'mariadb'>;
  let database: MysqlDatabase;
  let sql: Connection;
  const open = (options = {}) => mysqlSource(mysqlSettings(database.url), [{ database: database.name, table: 't' }], options);
  const run = async (...statements: string[]) => {
    for (const statement of statements) await sql.query(statement);
  };
  /** MariaDB gives bytes. */
  const prepared = async () =>
    ((await sql.query('XA RECOVER'))[0] as unknown as { data: string | Buffer }[]).map(({ data }) => String(data));
  /** Prepared by a session of its own, which then goes: the transaction is the server's alone. */
  const prepare = async (xid: string, ...statements: string[]) => {
    const session = await createConnection({ uri: database.url });
    for (const statement of [`XA START '${xid}'`, ...statements, `XA END '${xid}'`, `XA PREPARE '${xid}'`]) await session.query(statement);
    await session.end();
    // MySQL keeps it with the session until that is gone for good.
    await expect.poll(prepared, { timeout: 10_000 }).toContain(xid);
  };
  const finish = async (word: 'COMMIT' | 'ROLLBACK', xid: string) => {
    await expect
      .poll(
        async () =>
          await sql.query(`XA ${word} '${xid}'`).then(
            () => 'done',
            (error: Error) => error.message,
          ),
        { timeout: 10_000 },
      )
      .toBe('done');
  };
  /** Unlike those of all other suites on the server. */
  const xid = (name: string) => `${database.name}-${name}`;
  const keys = (changes: readonly { key: unknown }[]) => changes.map(({ key }) => (key as { id: number }).id);
  const openXa = (position: string) => (JSON.parse(position) as MysqlPosition).xa;
  const ours = (position: string) =>
    openXa(position).filter((xa) =>
      Buffer.from(xa.xid.slice(2, xa.xid.indexOf("'", 2)), 'hex')
        .toString()
        .startsWith(database.name),
    );

  beforeAll(async () => {
    stack = await privateStack({ servers: [flavor] });
  }, 120_000);
  afterAll(async () => {
    await stack[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    database = await freshMysqlDatabase(flavor, stack.urls[flavor]);
    sql = database.connection;
    await run('CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(4000))', 'CREATE TABLE other (id INT PRIMARY KEY, name VARCHAR(40))');
  });
  afterEach(async () => {
    for (const xid of await prepared()) if (xid.startsWith(database.name)) await sql.query(`XA ROLLBACK '${xid}'`);
    await database[Symbol.asyncDispose]();
  });

  test('G1: rows come at XA COMMIT with its transaction, never at XA PREPARE, and not at all after XA ROLLBACK', async () => {
    const source = open();
    const start = await source.start();
    await prepare(xid('a'), "INSERT INTO t VALUES (1, 'a'), (2, 'b')", "UPDATE t SET name = 'x' WHERE id = 1");
    await prepare(xid('b'), "INSERT INTO t VALUES (5, 'lost')");
    await prepare(xid('c'), 'INSERT INTO other VALUES (5, NULL)');
    await run("INSERT INTO t VALUES (3, 'c')");
    const before = await readChanges(source, start, 1);
    expect(keys(before.changes)).toEqual([3]);
    expect(ours(before.position).map(({ captured }) => captured)).toEqual([true, true, false]);
    await finish('ROLLBACK', xid('b'));
    await finish('COMMIT', xid('c'));
    await finish('COMMIT', xid('a'));
    await run("INSERT INTO t VALUES (4, 'd')");
    // From the first start, and from behind the prepare.
    for (const [from, expected] of [
      [start, [3, 1, 2, 1, 4]],
      [before.position, [1, 2, 1, 4]],
    ] as const) {
      const { changes, position } = await readChanges(open(), from, expected.length);
      expect(keys(changes)).toEqual(expected);
      expect(ours(position)).toEqual([]);
      const xaRows = changes.filter(({ transaction }) => transaction === changes.at(-2)?.transaction);
      expect(xaRows.map(({ op, ordinal }) => `${op} ${ordinal}`)).toEqual(['c 0', 'c 1', 'u 2']);
      expect(changes.map(({ version }) => version)).toEqual(changes.map(({ version }) => version).toSorted());
    }
  });

  test('G1 G5: a reading that ends at every point of a busy time loses and doubles nothing', async () => {
    const source = open();
    let position = await source.start();
    const seen: number[] = [];
    const read = async (count: number) => {
      const reading = await readChanges(open(), position, count);
      seen.push(...keys(reading.changes));
      position = reading.position;
    };
    await prepare(xid('a'), "INSERT INTO t VALUES (10, 'a')", "INSERT INTO t VALUES (11, 'a')");
    await run("INSERT INTO t VALUES (1, 'x')");
    await read(1);
    await prepare(xid('b'), "INSERT INTO t VALUES (20, 'b')");
    await run("INSERT INTO t VALUES (2, 'x')");
    await read(1);
    await run("INSERT INTO t VALUES (3, 'x')");
    await read(1);
    await finish('COMMIT', xid('b'));
    await read(1);
    await prepare(xid('c'), "INSERT INTO t VALUES (30, 'c')");
    await finish('ROLLBACK', xid('c'));
    await run("INSERT INTO t VALUES (4, 'x')");
    await read(1);
    await finish('COMMIT', xid('a'));
    await read(2);
    await run("INSERT INTO t VALUES (5, 'x')");
    await read(1);
    expect(seen).toEqual([1, 2, 3, 20, 4, 10, 11, 5]);
    expect(ours(position)).toEqual([]);
  });

  test('G9: an XA transaction that is larger than what is kept in memory comes in parts, and leaves no file open', async () => {
    const source = open({ partBytes: 500_000 });
    const start = await source.start();
    const rows = Array.from({ length: 2000 }, (_, index) => `(${index}, REPEAT('x', 3900))`).join(', ');
    await prepare(xid('a'), `INSERT INTO t VALUES ${rows}`);
    await finish('COMMIT', xid('a'));
    // A consumer that goes in the middle, while the rest waits for room.
    for await (const batch of source.read(start, AbortSignal.timeout(20_000))) if (batch.changes.length > 0) break;
    await expect.poll(openHeldFiles).toEqual([]);
    const { batches, changes } = await readChanges(source, start, 2000);
    expect(keys(changes)).toEqual(Array.from({ length: 2000 }, (_, index) => index));
    expect(batches.filter(({ open: isOpen }) => isOpen).length).toBeGreaterThan(5);
    expect(openHeldFiles()).toEqual([]);
  });

  test('a new pipeline waits for what is prepared; where that lasts it says so, is tried again, and check warns before', async () => {
    await prepare(xid('a'), "INSERT INTO t VALUES (1, 'a')");
    const said: unknown[] = [];
    const source = open({ logger: { ...silentLogger, info: (fields: object) => said.push(fields) } });
    const hex = Buffer.from(xid('a')).toString('hex').toUpperCase();
    const named = flavor === 'mysql' ? `X'${hex}',X'',1` : `'${xid('a')}'`;
    expect(await source.check()).toMatchObject([
      {
        level: 'warning',
        code: 'SOURCE_XA_OPEN',
        message: expect.stringContaining(named),
        fix: expect.stringContaining(`XA ROLLBACK ${named}`),
      },
    ]);
    const error = await source.start().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'SOURCE_XA_OPEN',
      fault: 'retry',
      message: expect.stringContaining(`1 XA transaction is prepared`),
    });
    expect((error as CrossfadeError).remedy).toContain(`XA COMMIT ${named}`);
    expect(said).toContainEqual({ count: 1 });
    const waiting = source.start();
    await finish('COMMIT', xid('a'));
    await run("INSERT INTO t VALUES (2, 'b')");
    expect(keys((await readChanges(source, await waiting, 0)).changes)).toEqual([]);
    // A stop does not wait for it.
    await prepare(xid('b'), "INSERT INTO t VALUES (3, 'a')");
    await expect(source.start(AbortSignal.timeout(300))).rejects.toMatchObject({ name: 'TimeoutError' });
    // What goes on with a log does not ask.
    expect(await source.check(await source.end())).toEqual([]);
  }, 60_000);

  test('G1: the XA COMMIT of what was prepared before a start that the configuration names stops and names the xid', async () => {
    await prepare(xid('a'), "INSERT INTO t VALUES (1, 'a')");
    const { gtid } = JSON.parse(await open().end()) as { gtid: string };
    const source = mysqlSource(mysqlSettings(database.url, { start: { gtid } }), [{ database: database.name, table: 't' }]);
    const start = await source.start();
    await finish('COMMIT', xid('a'));
    const error = await readFailure(source, start);
    expect(error).toMatchObject({ code: 'SOURCE_EVENT_UNSUPPORTED', fault: 'fatal' });
    expect(error.message).toContain(`x'${Buffer.from(xid('a')).toString('hex')}'`);
    expect(error.remedy).toContain('XA RECOVER');
    expect(error.remedy).toContain('start: {');
  });

  // MySQL has no XA outside of its binlog.
  test.each(flavor === 'mariadb' ? ['COMMIT' as const] : [])(
    'G1: XA %s of what was prepared far from the binlog stops and names the xid',
    async (verb) => {
      const source = open();
      const start = await source.start();
      const session = await createConnection({ uri: database.url });
      const statements = [`XA START '${xid('b')}'`, "INSERT INTO t VALUES (2, 'b')", `XA END '${xid('b')}'`, `XA PREPARE '${xid('b')}'`];
      for (const statement of ['SET SESSION sql_log_bin = 0', ...statements]) await session.query(statement);
      await session.end();
      await finish(verb, xid('b'));
      const error = await readFailure(source, start);
      expect(error).toMatchObject({ code: 'SOURCE_EVENT_UNSUPPORTED', fault: 'fatal' });
      expect(error.message).toContain(`x'${Buffer.from(xid('b')).toString('hex')}'`);
      expect(error.remedy).toContain('SELECT those rows');
    },
  );

  test('G1: a pipeline starts amid XA transactions that never let up, and what is committed behind its start comes once', async () => {
    const stop = new AbortController();
    let next = 0;
    const committed: number[] = [];
    const client = async (table: string) => {
      const session = await createConnection({ uri: database.url });
      while (!stop.signal.aborted) {
        const id = (next += 1);
        const name = xid(`s${id}`);
        for (const statement of [
          `XA START '${name}'`,
          `INSERT INTO ${table} VALUES (${id}, 'x')`,
          `XA END '${name}'`,
          `XA PREPARE '${name}'`,
        ])
          await session.query(statement);
        // Long enough that one is always open.
        await new Promise((resolve) => setTimeout(resolve, (id % 7) * 5));
        await session.query(`XA COMMIT '${name}'`);
        if (table === 't') committed.push(id);
      }
      await session.end();
    };
    const quiet = await open().start();
    const clients = ['t', 'other', 't', 'other', 't'].map(client);
    const readings = [];
    for (let round = 0; round < 8; round += 1) {
      await until(() => next > 30 * round + 10);
      const source = open();
      readings.push({ source, position: await source.start() });
    }
    stop.abort();
    await Promise.all(clients);
    await run("INSERT INTO t VALUES (1000000, 'last')");
    const idsFrom = async (source: MysqlSource, position: string) => {
      const ids: number[] = [];
      for await (const batch of source.read(position, AbortSignal.timeout(20_000))) {
        ids.push(...keys(batch.changes.map(plain)));
        if (ids.at(-1) === 1_000_000) break;
      }
      return ids;
    };
    const all = await idsFrom(open(), quiet);
    expect(all.toSorted((a, b) => a - b)).toEqual([...committed, 1_000_000].toSorted((a, b) => a - b));
    let metOpen = 0;
    for (const { source, position } of readings) {
      metOpen += openXa(position).length;
      const ids = await idsFrom(source, position);
      expect(ids).toEqual(all.slice(all.length - ids.length));
      expect(ids.length).toBeGreaterThan(1);
    }
    // The starts were in the midst of it.
    expect(metOpen).toBeGreaterThan(0);
  }, 120_000);

  test('one phase is an ordinary transaction, and one without changes is none', async () => {
    const source = open();
    const start = await source.start();
    await run(`XA START '${xid('a')}'`, "INSERT INTO t VALUES (1, 'a')", `XA END '${xid('a')}'`, `XA COMMIT '${xid('a')}' ONE PHASE`);
    await run(`XA START '${xid('b')}'`, 'SELECT 1 FROM t', `XA END '${xid('b')}'`, `XA PREPARE '${xid('b')}'`, `XA COMMIT '${xid('b')}'`);
    await run(`XA START '${xid('c')}'`, `XA END '${xid('c')}'`, `XA PREPARE '${xid('c')}'`, `XA ROLLBACK '${xid('c')}'`);
    await run("INSERT INTO t VALUES (2, 'b')");
    const { changes, position } = await readChanges(source, start, 2);
    expect(keys(changes)).toEqual([1, 2]);
    expect(ours(position)).toEqual([]);
  });
});
