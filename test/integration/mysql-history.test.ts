/** What needs a server of its own: purges, lost history, failover, restarts. Without GTIDs: mysql-history-files.test.ts. */
import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Stack } from '../../stack/stack.ts';
import { connect, epochAt, epochOf, keysOf, t, tablesSql } from '../support/mysql-history.ts';
import { mysqlSettings, mysqlSource, readChanges, readFailure, until } from '../support/mysql-server.ts';
import { privateStack } from '../support/servers.ts';

describe('with GTIDs', () => {
  let stack: Stack<'mysql'>;
  let replica: Stack<'mysql'>;
  let sql: Connection;
  let replicaSql: Connection;
  const open = () => mysqlSource(mysqlSettings(stack.urls.mysql), [t]);
  const openReplica = () => mysqlSource(mysqlSettings(replica.urls.mysql), [t]);

  beforeAll(async () => {
    [stack, replica] = await Promise.all([
      privateStack({ servers: ['mysql'] }),
      privateStack({ servers: ['mysql'], extraArgs: { mysql: ['--server-id=2'] } }),
    ]);
    [sql, replicaSql] = await Promise.all([connect(stack.urls.mysql), connect(replica.urls.mysql)]);
    await sql.query(tablesSql);
    const { port } = new URL(stack.urls.mysql);
    await replicaSql.query(
      `CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = ${port}, SOURCE_USER = 'root', SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_CONNECT_RETRY = 1; START REPLICA`,
    );
  }, 180_000);
  afterAll(async () => {
    sql.destroy();
    replicaSql.destroy();
    await Promise.all([stack[Symbol.asyncDispose](), replica[Symbol.asyncDispose]()]);
  });
  const onReplica = (id: number) =>
    until(async () => {
      const [rows] = await replicaSql.query(
        `SELECT COUNT(*) AS n FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'shop' AND TABLE_NAME = 't'`,
      );
      if (Number((rows as { n: number }[])[0]?.n) === 0) return false;
      const [found] = await replicaSql.query('SELECT id FROM shop.t WHERE id = ?', [id]);
      return (found as unknown[]).length > 0;
    });

  test('after a failover to a replica, reading goes on in the next epoch, right behind the last transaction', async () => {
    await replicaSql.query('FLUSH BINARY LOGS; FLUSH BINARY LOGS');
    const start = await open().start();
    await sql.query("INSERT INTO t VALUES (1, 'a'); INSERT INTO t VALUES (2, 'b')");
    const before = await readChanges(open(), start, 2);
    await sql.query("INSERT INTO t VALUES (3, 'c')");
    await onReplica(3);
    const after = await readChanges(openReplica(), before.position, 1);
    expect(keysOf(after.changes)).toEqual([3]);
    expect(epochOf(after.changes[0]?.version)).toBe(epochAt(start) + 1);
    expect((after.changes[0]?.version ?? '') > (before.changes[1]?.version ?? '')).toBe(true);
    // The first batch already says that this is another epoch, so that it can be written down before any row.
    const first = await readChanges(openReplica(), before.position, 0);
    expect(JSON.parse(first.position)).toMatchObject({ epoch: epochAt(start) + 1 });
  });

  test('a new log begins above every epoch that an older one can have reached', async () => {
    const minute = Math.floor(Date.now() / 60_000) * 60;
    expect(epochAt(await open().start())).toBeGreaterThanOrEqual(minute);
  });

  test('a replica that lags is waited for', async () => {
    const start = await open().start();
    await replicaSql.query('STOP REPLICA SQL_THREAD');
    await sql.query("INSERT INTO t VALUES (10, 'a')");
    const { position } = await readChanges(open(), start, 1);
    const waiting = readChanges(openReplica(), position, 1);
    await replicaSql.query('START REPLICA SQL_THREAD');
    await onReplica(10);
    await sql.query("INSERT INTO t VALUES (11, 'b')");
    expect(keysOf((await waiting).changes)).toEqual([11]);
  });

  test('tagged GTIDs are resumed behind, here and at the replica, and proven like any other', async () => {
    const start = await open().start();
    await sql.query(
      "SET gtid_next = 'AUTOMATIC:blue'; INSERT INTO t VALUES (12, 'a'); SET gtid_next = 'AUTOMATIC:green_2'; INSERT INTO t VALUES (13, 'b'); SET gtid_next = AUTOMATIC",
    );
    const { changes, position } = await readChanges(open(), start, 2);
    expect(changes.map(({ transaction }) => transaction.split(':').slice(1))).toEqual([
      ['blue', '1'],
      ['green_2', '1'],
    ]);
    expect(JSON.parse(position)).toMatchObject({
      gtid: expect.stringMatching(/:blue:1:green_2:1$/),
      last: { gtid: expect.stringMatching(/:green_2:1$/) },
    });
    await sql.query("INSERT INTO t VALUES (14, 'c')");
    await onReplica(14);
    for (const source of [open(), openReplica()]) expect(keysOf((await readChanges(source, position, 1)).changes)).toEqual([14]);
    const named = mysqlSource(mysqlSettings(stack.urls.mysql, { start: { gtid: (JSON.parse(position) as { gtid: string }).gtid } }), [t]);
    expect(keysOf((await readChanges(named, await named.start(), 1)).changes)).toEqual([14]);
  });

  test('an XA transaction that is prepared here and committed at the replica comes with all its rows', async () => {
    const start = await open().start();
    await sql.query("XA START 'far'; INSERT INTO t VALUES (15, 'prepared'); XA END 'far'; XA PREPARE 'far'");
    // XA PREPARE ties the session to its transaction.
    const other = await connect(stack.urls.mysql);
    await other.query("USE shop; INSERT INTO t VALUES (16, 'between')");
    const { changes, position } = await readChanges(open(), start, 1);
    expect(keysOf(changes)).toEqual([16]);
    expect(JSON.parse(position)).toMatchObject({ xa: [{ captured: true, gtid: expect.stringMatching(/:\d+$/), before: null }] });
    await sql.query("XA COMMIT 'far'");
    await other.query("INSERT INTO t VALUES (17, 'behind')");
    other.destroy();
    await onReplica(17);
    for (const source of [open(), openReplica()]) {
      const after = await readChanges(source, position, 2);
      expect(keysOf(after.changes)).toEqual([15, 17]);
      expect(JSON.parse(after.position)).toMatchObject({ xa: [] });
    }
  });

  test('a failover to a replica that never got the last transaction stops', async () => {
    await replicaSql.query('STOP REPLICA IO_THREAD');
    const start = await open().start();
    await sql.query("INSERT INTO t VALUES (18, 'a')");
    const { position } = await readChanges(open(), start, 1);
    // It may only be behind: check waits a little, and says what it is.
    expect(await openReplica().check(position)).toContainEqual(
      expect.objectContaining({ level: 'warning', code: 'SOURCE_HISTORY_DIVERGED', fix: expect.stringMatching(/^Wait until the replica/) }),
    );
    expect(await readFailure(openReplica(), position)).toMatchObject({ code: 'SOURCE_HISTORY_DIVERGED', fault: 'fatal' });
    await replicaSql.query('START REPLICA IO_THREAD');
    await onReplica(18);
  });

  test('a failover that lost the last transaction stops when its GTID was used again', async () => {
    const start = await openReplica().start();
    await replicaSql.query('STOP REPLICA');
    await replicaSql.query("INSERT INTO shop.t VALUES (20, 'only here')");
    const { position } = await readChanges(openReplica(), start, 1);
    const [rows] = await replicaSql.query('SELECT @@GLOBAL.server_uuid AS uuid');
    const { uuid } = (rows as { uuid: string }[])[0] ?? { uuid: '' };
    await sql.query(`SET gtid_next = '${uuid}:1'; INSERT INTO t VALUES (21, 'another content'); SET gtid_next = AUTOMATIC`);
    expect(await readFailure(open(), position)).toMatchObject({ code: 'SOURCE_HISTORY_DIVERGED', fault: 'fatal' });
  });

  test('a server that was restarted in between is the same one; a dump that was cut is an error to retry', async () => {
    const start = await open().start();
    await sql.query("INSERT INTO t VALUES (30, 'a')");
    const { position } = await readChanges(open(), start, 1);
    const failure = readFailure(open(), position);
    const first = await readChanges(open(), position, 0);
    expect(first.changes).toEqual([]);
    await stack.servers.mysql.kill('SIGKILL');
    expect(await failure).toMatchObject({ fault: 'retry' });
    expect(await readFailure(open(), position)).toMatchObject({ code: 'SOURCE_UNREACHABLE', fault: 'retry' });
    await stack.servers.mysql.start();
    sql = await connect(stack.urls.mysql);
    await sql.query("USE shop; INSERT INTO t VALUES (31, 'b')");
    const { changes } = await readChanges(open(), position, 1);
    expect(keysOf(changes)).toEqual([31]);
    expect(epochOf(changes[0]?.version)).toBe(epochAt(start));
  });

  test('a frozen server is silent, and that is an error to retry', async (context) => {
    const { pid } = stack.servers.mysql;
    // Only a server that runs natively can be frozen from here.
    if (pid === undefined) {
      context.skip();
      return;
    }
    const start = await open().start();
    const silent = mysqlSource(mysqlSettings(stack.urls.mysql, { heartbeatSeconds: 0.3 }), [t]).read(start, new AbortController().signal);
    // Its own first batch: a freeze before it would meet the questions that a session asks before it streams.
    await silent.next();
    process.kill(pid, 'SIGSTOP');
    const beats = async () => {
      for (;;) await silent.next();
    };
    try {
      await expect(beats()).rejects.toMatchObject({ code: 'SOURCE_SILENT', fault: 'retry' });
      // A session that begins now waits for an answer that does not come; an abort must not.
      const reading = open().read(start, AbortSignal.timeout(200));
      await expect(reading.next()).rejects.toMatchObject({ name: 'TimeoutError' });
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });

  test('a last transaction that was purged cannot be proven, but reading goes on; a purged gap stops', async () => {
    const start = await open().start();
    await sql.query("INSERT INTO t VALUES (40, 'a')");
    const { position } = await readChanges(open(), start, 1);
    const [rows] = await sql.query('FLUSH BINARY LOGS; SHOW BINARY LOG STATUS');
    await sql.query('PURGE BINARY LOGS TO ?', [(rows as [unknown, { File: string }[]])[1][0]?.File]);
    await sql.query("INSERT INTO t VALUES (41, 'b')");
    expect(keysOf((await readChanges(open(), position, 1)).changes)).toEqual([41]);
    expect(await readFailure(open(), start)).toMatchObject({ code: 'SOURCE_POSITION_PURGED', fault: 'fatal' });
    expect(await open().check(start)).toContainEqual(expect.objectContaining({ level: 'error', code: 'SOURCE_POSITION_PURGED' }));
    const ahead = JSON.stringify({ ...JSON.parse(position), gtid: `${JSON.parse(position).uuid}:1-999999` });
    expect(await open().check(ahead)).toContainEqual(expect.objectContaining({ level: 'error', code: 'SOURCE_HISTORY_DIVERGED' }));
    expect((await open().check(position)).filter(({ level }) => level === 'error')).toEqual([]);
  });

  test('an XA transaction that is still prepared and whose beginning was purged stops', async () => {
    const start = await open().start();
    const other = await connect(stack.urls.mysql);
    await other.query("USE shop; XA START 'old'; INSERT INTO t VALUES (42, 'prepared'); XA END 'old'; XA PREPARE 'old'");
    await sql.query("INSERT INTO t VALUES (43, 'a')");
    const { position } = await readChanges(open(), start, 1);
    const [rows] = await sql.query('FLUSH BINARY LOGS; SHOW BINARY LOG STATUS');
    await sql.query('PURGE BINARY LOGS TO ?', [(rows as [unknown, { File: string }[]])[1][0]?.File]);
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
    await sql.query("INSERT INTO t VALUES (50, 'a')");
    const { position } = await readChanges(open(), start, 1);
    const { gtid } = JSON.parse(start) as { gtid: string };
    const lost = async (statement: string) => {
      await sql.query(`DELETE FROM t WHERE id = 50; RESET BINARY LOGS AND GTIDS; SET GLOBAL gtid_purged = '${gtid}'`);
      if (statement !== '') await sql.query(statement);
    };
    await lost('');
    expect(await readFailure(open(), position)).toMatchObject({ code: 'SOURCE_HISTORY_DIVERGED', fault: 'fatal' });
    await lost("INSERT INTO t VALUES (51, 'another')");
    expect(await readFailure(open(), position)).toMatchObject({ code: 'SOURCE_HISTORY_DIVERGED', fault: 'fatal' });
    // A backup that was restored and rolled forward holds the very transaction, at another place in other files.
    const { throughUs } = JSON.parse(position) as { throughUs: number };
    await lost(
      `SET original_commit_timestamp = ${throughUs}; INSERT INTO t VALUES (50, 'a'); SET original_commit_timestamp = 36028797018963968`,
    );
    await sql.query("INSERT INTO t VALUES (52, 'next')");
    const { changes } = await readChanges(open(), position, 1);
    expect(keysOf(changes)).toEqual([52]);
    expect(epochOf(changes[0]?.version)).toBe(epochAt(start) + 1);
  });
});
