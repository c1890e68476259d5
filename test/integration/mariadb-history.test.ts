/** MariaDB's positions: domains, failover to a replica, lost and purged history, what is read again to prove that it is the same. */
import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Stack } from '../../stack/stack.ts';
import { connect, epochAt, epochOf, keysOf, t, tablesSql } from '../support/mysql-history.ts';
import { mysqlSettings, mysqlSource, readChanges, readFailure, until } from '../support/mysql-server.ts';
import { privateStack } from '../support/servers.ts';

const gtidAt = (position: string) => (JSON.parse(position) as { gtid: string }).gtid;
const replicaArgs = (id: number) => [
  `--server-id=${id}`,
  '--log-slave-updates=ON',
  '--log-bin-compress=ON',
  '--log-bin-compress-min-len=10',
];

let stack: Stack<'mariadb'>;
let replica: Stack<'mariadb'>;
let sql: Connection;
let replicaSql: Connection;
const open = (more: Parameters<typeof mysqlSettings>[1] = {}) => mysqlSource(mysqlSettings(stack.urls.mariadb, more), [t]);
const openReplica = () => mysqlSource(mysqlSettings(replica.urls.mariadb), [t]);

beforeAll(async () => {
  [stack, replica] = await Promise.all([
    privateStack({ servers: ['mariadb'] }),
    privateStack({ servers: ['mariadb'], extraArgs: { mariadb: replicaArgs(2) } }),
  ]);
  [sql, replicaSql] = await Promise.all([connect(stack.urls.mariadb), connect(replica.urls.mariadb)]);
  await sql.query(tablesSql);
  const { port } = new URL(stack.urls.mariadb);
  await replicaSql.query(
    `CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = ${port}, MASTER_USER = 'root', MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1; START SLAVE`,
  );
}, 180_000);
afterAll(async () => {
  sql.destroy();
  replicaSql.destroy();
  await Promise.all([stack[Symbol.asyncDispose](), replica[Symbol.asyncDispose]()]);
});
const onReplica = (id: number) =>
  until(async () => {
    const found = await replicaSql.query('SELECT id FROM shop.t WHERE id = ?', [id]).catch(() => [[]]);
    return (found[0] as unknown[]).length > 0;
  });
async function untilFailure(reading: AsyncIterator<unknown>): Promise<never> {
  for (;;) await reading.next();
}
/** The newest file is new and alone. */
const purge = (connection: Connection) =>
  until(async () => {
    const [rows] = await connection.query('SHOW BINLOG STATUS');
    await connection.query('PURGE BINARY LOGS TO ?', [(rows as { File: string }[])[0]?.File]);
    const [files] = await connection.query('SHOW BINARY LOGS');
    return (files as unknown[]).length === 1;
  });

describe('resuming', () => {
  test('behind any batch, over files and over domains that take turns', async () => {
    const start = await open().start();
    for (let id = 1; id <= 30; id += 1) {
      await sql.query(`SET SESSION gtid_domain_id = ${id % 3}; INSERT INTO t VALUES (${id}, 'x')`);
      if (id % 10 === 0) await sql.query('FLUSH BINARY LOGS');
    }
    await sql.query('SET SESSION gtid_domain_id = 0');
    let position = start;
    const seen: number[] = [];
    while (seen.length < 30) {
      const { batches } = await readChanges(open(), position, 1);
      seen.push(...keysOf(batches.flatMap(({ changes }) => changes)));
      position = batches.at(-1)?.position ?? '';
      expect(JSON.parse(position)).toMatchObject({ flavor: 'mariadb', uuid: expect.stringMatching(/^mariadb:1@.+:\d+$/), xa: [] });
    }
    expect(seen).toEqual(Array.from({ length: 30 }, (_, index) => index + 1));
    expect(gtidAt(position)).toMatch(/^0-1-\d+,1-1-10,2-1-10$/);
    await sql.query("INSERT INTO other VALUES (1); INSERT INTO t VALUES (31, 'next')");
    expect(keysOf((await readChanges(open(), position, 1)).changes)).toEqual([31]);
  });

  test('from a GTID position or a file and offset that the configuration names', async () => {
    const [status] = await sql.query('SHOW BINLOG STATUS');
    const { File: file, Position: offset } = (status as { File: string; Position: number }[])[0] ?? { File: '', Position: 0 };
    const [[row]] = (await sql.query('SELECT @@GLOBAL.gtid_binlog_pos AS gtid')) as unknown as [{ gtid: string }[]];
    await sql.query("INSERT INTO t VALUES (40, 'a')");
    for (const start of [{ gtid: row?.gtid ?? '' }, { file, offset }]) {
      const source = open({ start });
      const from = await source.start();
      expect(gtidAt(from)).toBe(row?.gtid);
      expect(keysOf((await readChanges(source, from, 1)).changes)).toEqual([40]);
    }
    await expect(open({ start: { file, offset: 5 } }).start()).rejects.toMatchObject({ code: 'SOURCE_POSITION_PURGED' });
    await expect(open({ start: { gtid: '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5' } }).start()).rejects.toMatchObject({
      code: 'SOURCE_POSITION_INVALID',
    });
  });

  test('after the server was restarted', async () => {
    const start = await open().start();
    await sql.query("INSERT INTO t VALUES (50, 'a')");
    const { position } = await readChanges(open(), start, 1);
    const failure = readFailure(open(), position);
    expect((await readChanges(open(), position, 0)).changes).toEqual([]);
    await stack.servers.mariadb.kill('SIGKILL');
    expect(await failure).toMatchObject({ fault: 'retry' });
    await stack.servers.mariadb.start();
    sql = await connect(stack.urls.mariadb);
    await sql.query("USE shop; INSERT INTO t VALUES (51, 'b')");
    const { changes } = await readChanges(open(), position, 1);
    expect(keysOf(changes)).toEqual([51]);
    expect(epochOf(changes[0]?.version)).toBe(epochAt(start));
  });

  test('a position of MySQL is not one of this server, and is refused', async () => {
    const position = { ...(JSON.parse(await open().start()) as object), flavor: 'mysql', gtid: '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5' };
    expect(await readFailure(open(), JSON.stringify(position))).toMatchObject({ code: 'SOURCE_SERVER_CHANGED', fault: 'fatal' });
  });

  test('of two readers with one server id the newer stays, and the older stops for good', async () => {
    const start = await open().start();
    const stop = new AbortController();
    const older = open({ serverId: 4711 }).read(start, stop.signal);
    await older.next();
    const newer = open({ serverId: 4711 }).read(start, stop.signal);
    await newer.next();
    await expect(untilFailure(older)).rejects.toMatchObject({ code: 'SOURCE_SERVER_ID_TAKEN', fault: 'fatal' });
    await sql.query("INSERT INTO t VALUES (60, 'a')");
    await until(async () => ((await newer.next()).value?.changes.length ?? 0) > 0);
    stop.abort(new Error('enough'));
  });
});

describe('failover', () => {
  test('to a replica with other files: reading goes on in the next epoch, right behind the last transaction', async () => {
    await replicaSql.query('FLUSH BINARY LOGS; FLUSH BINARY LOGS');
    const start = await open().start();
    await sql.query("INSERT INTO t VALUES (101, 'a'); INSERT INTO t VALUES (102, 'b')");
    const before = await readChanges(open(), start, 2);
    await sql.query("INSERT INTO t VALUES (103, 'c')");
    await onReplica(103);
    const after = await readChanges(openReplica(), before.position, 1);
    expect(keysOf(after.changes)).toEqual([103]);
    expect(epochOf(after.changes[0]?.version)).toBe(epochAt(start) + 1);
    expect((after.changes[0]?.version ?? '') > (before.changes[1]?.version ?? '')).toBe(true);
  });

  test('a replica that lags is waited for', async () => {
    const start = await open().start();
    await replicaSql.query('STOP SLAVE SQL_THREAD');
    await sql.query("INSERT INTO t VALUES (110, 'a')");
    const { position } = await readChanges(open(), start, 1);
    const waiting = readChanges(openReplica(), position, 1);
    await replicaSql.query('START SLAVE SQL_THREAD');
    await onReplica(110);
    await sql.query("INSERT INTO t VALUES (111, 'b')");
    expect(keysOf((await waiting).changes)).toEqual([111]);
  });

  test('an XA transaction that is prepared here and committed at the replica comes with all its rows', async () => {
    const start = await open().start();
    const other = await connect(stack.urls.mariadb);
    await other.query("USE shop; XA START 'far'; INSERT INTO t VALUES (115, 'prepared'); XA END 'far'; XA PREPARE 'far'");
    await sql.query("INSERT INTO t VALUES (116, 'between')");
    const { changes, position } = await readChanges(open(), start, 1);
    expect(keysOf(changes)).toEqual([116]);
    expect(JSON.parse(position)).toMatchObject({ xa: [{ captured: true, before: expect.stringMatching(/^0-1-\d+$/) }] });
    await other.query("XA COMMIT 'far'");
    other.destroy();
    await sql.query("INSERT INTO t VALUES (117, 'behind')");
    await onReplica(117);
    for (const source of [open(), openReplica()]) {
      const after = await readChanges(source, position, 2);
      expect(keysOf(after.changes)).toEqual([115, 117]);
      expect(JSON.parse(after.position)).toMatchObject({ xa: [] });
    }
  });

  test('one that lost the last transaction stops: its GTID is not there, or stands for another content', async () => {
    const start = await open().start();
    await replicaSql.query('STOP SLAVE');
    await sql.query("INSERT INTO t VALUES (120, 'only here')");
    const { position } = await readChanges(open(), start, 1);
    const lost = gtidAt(position)
      .split(',')
      .find((gtid) => gtid.startsWith('0-'))
      ?.split('-')
      .map(Number) as [number, number, number];
    // The replica was promoted and goes on with the same number under its own id.
    await replicaSql.query("INSERT INTO shop.t VALUES (121, 'instead')");
    expect(await readFailure(openReplica(), position)).toMatchObject({ code: 'SOURCE_HISTORY_DIVERGED', fault: 'fatal' });
    await replicaSql.query(`SET GLOBAL gtid_strict_mode = OFF; SET SESSION gtid_domain_id = 0, server_id = 1, gtid_seq_no = ${lost[2]}`);
    await replicaSql.query("INSERT INTO shop.t VALUES (122, 'another content')");
    await replicaSql.query('SET SESSION server_id = 2, gtid_seq_no = 0; SET GLOBAL gtid_strict_mode = ON');
    expect(await readFailure(openReplica(), position)).toMatchObject({ code: 'SOURCE_HISTORY_DIVERGED', fault: 'fatal' });
  }, 90_000);
});

describe('lost history', () => {
  test('a last transaction that was purged cannot be proven, but reading goes on; a purged gap stops', async () => {
    const start = await open().start();
    await sql.query("INSERT INTO t VALUES (200, 'a'); INSERT INTO t VALUES (201, 'b')");
    const { position } = await readChanges(open(), start, 2);
    await sql.query('FLUSH BINARY LOGS');
    await purge(sql);
    await sql.query("INSERT INTO t VALUES (202, 'c')");
    expect(keysOf((await readChanges(open(), position, 1)).changes)).toEqual([202]);
    expect(await readFailure(open(), start)).toMatchObject({ code: 'SOURCE_POSITION_PURGED', fault: 'fatal' });
    expect(await open().check(start)).toContainEqual(expect.objectContaining({ level: 'error', code: 'SOURCE_POSITION_PURGED' }));
    expect((await open().check(position)).filter(({ level }) => level === 'error')).toEqual([]);
    // A domain that the position does not name begins at its first transaction, which is gone.
    const less = JSON.stringify({ ...JSON.parse(position), gtid: gtidAt(position).split(',')[0], last: null });
    expect(await readFailure(open(), less)).toMatchObject({ code: 'SOURCE_POSITION_PURGED', fault: 'fatal' });
    const ahead = JSON.stringify({ ...JSON.parse(position), gtid: '0-1-999999' });
    expect(await open().check(ahead)).toContainEqual(expect.objectContaining({ level: 'error', code: 'SOURCE_HISTORY_DIVERGED' }));
  });

  test('an XA transaction that is still prepared and whose beginning was purged stops', async () => {
    const start = await open().start();
    const other = await connect(stack.urls.mariadb);
    await other.query("USE shop; XA START 'old'; INSERT INTO t VALUES (203, 'prepared'); XA END 'old'; XA PREPARE 'old'");
    await sql.query("INSERT INTO t VALUES (204, 'a')");
    const { position } = await readChanges(open(), start, 1);
    await sql.query('FLUSH BINARY LOGS');
    await purge(sql);
    expect(await readFailure(open(), position)).toMatchObject({
      code: 'SOURCE_POSITION_PURGED',
      fault: 'fatal',
      message: expect.stringContaining('XA'),
    });
    await other.query("XA ROLLBACK 'old'");
    other.destroy();
  });

  test('a GTID that was used again with another content stops; the same content at another place is the next epoch', async () => {
    const start = await open().start();
    await sql.query("SET @@timestamp = 1700000000; INSERT INTO t VALUES (210, 'a')");
    const { position } = await readChanges(open(), start, 1);
    const reset = async (statement: string) => {
      await sql.query(`DELETE FROM t WHERE id >= 210; RESET MASTER; SET GLOBAL gtid_binlog_state = '${gtidAt(start)}'`);
      if (statement !== '') await sql.query(statement);
    };
    await reset('');
    expect(await readFailure(open(), position)).toMatchObject({ code: 'SOURCE_HISTORY_DIVERGED', fault: 'fatal' });
    await reset("SET @@timestamp = 1700000000; INSERT INTO t VALUES (211, 'another')");
    expect(await readFailure(open(), position)).toMatchObject({ code: 'SOURCE_HISTORY_DIVERGED', fault: 'fatal' });
    // A backup that was restored and rolled forward holds the very transaction, at another place in other files.
    await reset("SET @@timestamp = 1700000000; INSERT INTO t VALUES (210, 'a')");
    await sql.query("SET @@timestamp = DEFAULT; INSERT INTO t VALUES (212, 'next')");
    const { changes } = await readChanges(open(), position, 1);
    expect(keysOf(changes)).toEqual([212]);
    expect(epochOf(changes[0]?.version)).toBe(epochAt(start) + 1);
  });

  test('a sequence that went back while nobody read names gtid_strict_mode, and not a lost history', async () => {
    await sql.query('SET GLOBAL gtid_strict_mode = OFF; SET SESSION gtid_domain_id = 5');
    const start = await open().start();
    await sql.query("SET SESSION gtid_seq_no = 100; INSERT INTO t VALUES (230, 'a')");
    const { position } = await readChanges(open(), start, 1);
    await sql.query("SET SESSION gtid_seq_no = 50; INSERT INTO t VALUES (231, 'b')");
    const error = await readFailure(open(), position);
    expect(error).toMatchObject({ code: 'SOURCE_EVENT_UNSUPPORTED', fault: 'fatal', message: expect.stringContaining('5-1-100') });
    expect(error.remedy).toContain('SET GLOBAL gtid_strict_mode = ON;');
    expect(await open().check(position)).toContainEqual(expect.objectContaining({ level: 'error', code: 'SOURCE_EVENT_UNSUPPORTED' }));
    await sql.query('SET SESSION gtid_domain_id = 0; SET GLOBAL gtid_strict_mode = ON');
  });
});
