/** Without GTIDs: file and offset are all that there is. */
import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Stack } from '../../stack/stack.ts';
import { connect, keysOf, t, tablesSql } from '../support/mysql-history.ts';
import { mysqlSettings, mysqlSource, readChanges, readFailure } from '../support/mysql-server.ts';
import { privateStack } from '../support/servers.ts';

let stack: Stack<'mysql'>;
let sql: Connection;
const open = () => mysqlSource(mysqlSettings(stack.urls.mysql), [t, { database: 'shop', table: 'm' }]);

beforeAll(async () => {
  stack = await privateStack({
    servers: ['mysql'],
    extraArgs: { mysql: ['--gtid-mode=OFF', '--enforce-gtid-consistency=OFF', '--max-binlog-size=4096'] },
  });
  sql = await connect(stack.urls.mysql);
  await sql.query(tablesSql);
  await sql.query('CREATE TABLE m (id INT PRIMARY KEY) ENGINE = MyISAM');
}, 120_000);
afterAll(async () => {
  sql.destroy();
  await stack[Symbol.asyncDispose]();
});

test('reading goes on exactly behind any batch, over files', async () => {
  const start = await open().start();
  for (let id = 1; id <= 60; id += 1) await sql.query(`INSERT INTO t VALUES (${id}, REPEAT('x', 40))`);
  const positions: { id: number; position: string }[] = [];
  let position = start;
  while (positions.length < 6) {
    const { changes, position: behind } = await readChanges(open(), position, 1);
    positions.push({ id: keysOf(changes).at(-1) ?? 0, position: behind });
    position = behind;
    if (positions.at(-1)?.id === 60) break;
  }
  expect(positions.at(-1)?.id).toBe(60);
  await sql.query('INSERT INTO other VALUES (1)');
  await sql.query("INSERT INTO t VALUES (61, 'next')");
  const { changes } = await readChanges(open(), positions.at(-1)?.position ?? '', 1);
  expect(keysOf(changes)).toEqual([61]);
  expect(changes[0]?.transaction).toMatch(/^binlog\.\d+:\d+$/);
});

test('engines without transactions: rows that a rollback keeps come, rows that it drops do not', async () => {
  const start = await open().start();
  await sql
    .query(
      'BEGIN; INSERT INTO t VALUES (101, NULL); INSERT INTO m VALUES (101); SAVEPOINT s; INSERT INTO t VALUES (102, NULL); INSERT INTO m VALUES (102); ROLLBACK TO s; INSERT INTO t VALUES (103, NULL); COMMIT',
    )
    .catch(() => undefined);
  await sql.query('BEGIN; INSERT INTO t VALUES (111, NULL); INSERT INTO m VALUES (111); ROLLBACK').catch(() => undefined);
  await sql.query('INSERT INTO t VALUES (120, NULL)');
  const [kept] = await sql.query("SELECT CONCAT('t', id) AS k FROM t WHERE id > 100 UNION ALL SELECT CONCAT('m', id) FROM m");
  const expected = (kept as { k: string }[]).map(({ k }) => k).sort();
  const { changes } = await readChanges(open(), start, expected.length);
  expect(changes.map(({ table, key }) => `${table}${(key as { id: number }).id}`).sort()).toEqual(expected);
});

test('an XA transaction that is prepared and not ended is read again from its beginning, files ago', async () => {
  const start = await open().start();
  const other = await connect(stack.urls.mysql);
  await other.query("USE shop; XA START 'long'; INSERT INTO t VALUES (130, 'prepared'); XA END 'long'; XA PREPARE 'long'");
  const ids = Array.from({ length: 40 }, (_, index) => 131 + index);
  for (const id of ids) await sql.query(`INSERT INTO t VALUES (${id}, REPEAT('x', 40))`);
  const { changes, position } = await readChanges(open(), start, ids.length);
  expect(keysOf(changes)).toEqual(ids);
  const { xa, file } = JSON.parse(position) as { xa: { captured: boolean; gtid: null; file: string }[]; file: string };
  expect(xa).toMatchObject([{ captured: true, gtid: null }]);
  expect(xa[0]?.file).not.toBe(file);
  await other.query("XA COMMIT 'long'");
  other.destroy();
  await sql.query("INSERT INTO t VALUES (180, 'behind')");
  expect(keysOf((await readChanges(open(), position, 2)).changes)).toEqual([130, 180]);
});

test('another server stops', async () => {
  const start = await open().start();
  const other = { ...(JSON.parse(start) as object), uuid: '00000000-0000-0000-0000-000000000001' };
  expect(await readFailure(open(), JSON.stringify(other))).toMatchObject({ code: 'SOURCE_SERVER_CHANGED', fault: 'fatal' });
});

test('a file that was purged, and one that is shorter than what was read, stop', async () => {
  const start = await open().start();
  const { file } = JSON.parse(start) as { file: string };
  const beyond = { ...(JSON.parse(start) as object), pos: 2 ** 40 };
  expect(await readFailure(open(), JSON.stringify(beyond))).toMatchObject({ code: 'SOURCE_HISTORY_DIVERGED', fault: 'fatal' });
  const gone = { ...(JSON.parse(start) as object), file: file.replace(/\d+$/, '000999') };
  expect(await readFailure(open(), JSON.stringify(gone))).toMatchObject({ code: 'SOURCE_POSITION_PURGED', fault: 'fatal' });
});
