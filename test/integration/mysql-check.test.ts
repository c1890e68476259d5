import type { Connection } from 'mysql2/promise';
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listTables } from '../../connectors/mysql/server/metadata.ts';
import { statementsText } from '../../src/commands/check-text.ts';
import type { Stack } from '../../stack/stack.ts';
import { privateStack } from '../support/servers.ts';
import { mysqlSettings, mysqlSource, readChanges, readFailure } from '../support/mysql-server.ts';

/** A server of this suite's own, whose settings are changed. */
let stack: Stack<'mysql'>;
let sql: Connection;
const table = (name: string) => ({ database: 'shop', table: name });

beforeAll(async () => {
  stack = await privateStack({ servers: ['mysql'] });
  sql = await createConnection({ uri: stack.urls.mysql, multipleStatements: true });
  await sql.query(`CREATE DATABASE shop; USE shop; CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(40)); CREATE TABLE keyless (a INT);
    CREATE TABLE odd (id INT PRIMARY KEY, doc JSON, place POINT, old VARCHAR(9) CHARACTER SET gbk); CREATE VIEW seen AS SELECT * FROM t;
    CREATE TABLE isam (id INT PRIMARY KEY) ENGINE = MyISAM; CREATE TABLE child (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES t (id) ON DELETE CASCADE)`);
}, 120_000);
afterAll(async () => {
  await sql.end();
  await stack[Symbol.asyncDispose]();
});

const check = (url: string, ...tables: string[]) => mysqlSource(mysqlSettings(url), tables.map(table)).check();

test('a good server and good tables have no findings', async () => {
  expect(await check(stack.urls.mysql, 't', 'child')).toEqual([]);
});

test('every table problem comes at once, each with its remedy', async () => {
  const findings = await check(stack.urls.mysql, 't', 'keyless', 'odd', 'seen', 'nowhere', 'isam');
  expect(findings.map(({ code, message }) => `${code} ${message.split(':')[0]}`)).toEqual([
    'SOURCE_TABLE_KEYLESS shop.keyless has no primary key and no unique key without NULL',
    'SOURCE_TABLE_MISSING shop.seen is no table but a view',
    'SOURCE_TABLE_MISSING there is no table shop.nowhere, or we may not see it',
    'SOURCE_SETTING shop.isam is kept by MyISAM, which has no transactions',
  ]);
  expect(findings.every(({ fix }) => fix !== undefined)).toBe(true);
  expect(findings.map(({ level }) => level)).toEqual(['error', 'error', 'error', 'warning']);
  // What is no statement goes as a comment to whoever pipes it into the server.
  const printed = statementsText(findings).split('\n');
  expect(printed.filter((line) => line !== '' && !line.startsWith('-- '))).toEqual(['ALTER TABLE `shop`.`isam` ENGINE = InnoDB;']);
});

test('every setting that is wrong comes with the statement that mends it', async () => {
  await sql.query(
    `SET GLOBAL binlog_row_image = MINIMAL, GLOBAL binlog_row_metadata = MINIMAL, GLOBAL sync_binlog = 0,
            GLOBAL innodb_flush_log_at_trx_commit = 2, GLOBAL binlog_expire_logs_seconds = 7200`,
  );
  const findings = await check(stack.urls.mysql, 't');
  const fixes = findings.map(({ fix }) => fix ?? '');
  expect(findings.map(({ level }) => level)).toEqual(['error', 'error', 'warning', 'warning', 'warning']);
  for (const fix of fixes) await sql.query(fix.replace('PERSIST', 'GLOBAL'));
  expect(await check(stack.urls.mysql, 't')).toEqual([]);
  // What is carried is no problem.
  await sql.query("SET GLOBAL binlog_transaction_compression = ON, GLOBAL binlog_row_value_options = 'PARTIAL_JSON'");
  expect(await check(stack.urls.mysql, 't', 'odd')).toEqual([]);
  await sql.query("SET GLOBAL binlog_transaction_compression = OFF, GLOBAL binlog_row_value_options = ''");
});

test('retention is held against where the log stands', async () => {
  const source = mysqlSource(mysqlSettings(stack.urls.mysql), [table('t')]);
  const start = await source.start();
  await sql.query('SET GLOBAL binlog_expire_logs_seconds = 172800');
  expect(await source.check(start)).toEqual([]);
  const old = JSON.parse(start) as { throughUs: number };
  const findings = await source.check(JSON.stringify({ ...old, throughUs: old.throughUs - 60 * 3600e6 }));
  expect(findings).toMatchObject([
    { level: 'warning', code: 'SOURCE_SETTING', message: expect.stringContaining('the log stands 3 days behind') },
  ]);
  expect(findings[0]?.fix).toBe('SET PERSIST binlog_expire_logs_seconds = 604800;');
  await sql.query('SET GLOBAL binlog_expire_logs_auto_purge = OFF');
  expect(await source.check(JSON.stringify({ ...old, throughUs: old.throughUs - 60 * 3600e6 }))).toEqual([]);
  await sql.query('SET GLOBAL binlog_expire_logs_auto_purge = ON, GLOBAL binlog_expire_logs_seconds = 2592000');
});

test('rows written without FULL metadata stop and name the setting', async () => {
  const source = mysqlSource(mysqlSettings(stack.urls.mysql), [table('t')]);
  const start = await source.start();
  await sql.query("SET GLOBAL binlog_row_metadata = MINIMAL; INSERT INTO t VALUES (1, 'a'); SET GLOBAL binlog_row_metadata = FULL");
  const error = await readFailure(source, start);
  expect(error).toMatchObject({ code: 'SOURCE_SETTING', fault: 'fatal' });
  expect(error.remedy).toContain('SET PERSIST binlog_row_metadata = FULL;');
});

test('a start by file and offset passes over what lies before it in the same file, whatever it is', async () => {
  const source = mysqlSource(mysqlSettings(stack.urls.mysql), [table('t')]);
  const start = await source.start();
  await sql.query("SET SESSION binlog_format = STATEMENT; INSERT INTO t VALUES (42, 'a'); SET SESSION binlog_format = ROW");
  expect(await readFailure(source, start)).toMatchObject({ code: 'SOURCE_STATEMENT_UNSUPPORTED', fault: 'fatal' });
  await sql.query(
    "SET SESSION binlog_transaction_compression = ON; INSERT INTO t VALUES (41, 'a'); SET SESSION binlog_transaction_compression = OFF",
  );
  await sql.query(
    "XA START 'p'; INSERT INTO t VALUES (43, 'a'); XA END 'p'; XA PREPARE 'p'; XA COMMIT 'p'; ALTER TABLE t MODIFY name VARCHAR(41)",
  );
  const { file, pos } = JSON.parse(await source.end()) as { file: string; pos: number };
  const behind = mysqlSource(mysqlSettings(stack.urls.mysql, { start: { file, offset: pos } }), [table('t')]);
  const from = await behind.start();
  await sql.query("INSERT INTO t VALUES (44, 'a')");
  const { changes, position } = await readChanges(behind, from, 1);
  expect(changes.map(({ key }) => key)).toEqual([{ id: 44 }]);
  const [executed] = (await sql.query('SELECT @@GLOBAL.gtid_executed AS g'))[0] as unknown as { g: string }[];
  expect((JSON.parse(position) as { gtid: string }).gtid).toBe(executed?.g.replaceAll('\n', ''));
});

test('rows without checksum are read, and the switch in mid-stream is followed', async () => {
  const source = mysqlSource(mysqlSettings(stack.urls.mysql), [table('t')]);
  const start = await source.start();
  await sql.query(
    "INSERT INTO t VALUES (10, 'a'); SET GLOBAL binlog_checksum = NONE; INSERT INTO t VALUES (11, 'b'); SET GLOBAL binlog_checksum = CRC32; INSERT INTO t VALUES (12, 'c')",
  );
  const { changes, position } = await readChanges(source, start, 3);
  expect(changes.map(({ key }) => key)).toEqual([{ id: 10 }, { id: 11 }, { id: 12 }]);
  await sql.query("SET GLOBAL binlog_checksum = NONE; INSERT INTO t VALUES (13, 'd')");
  expect((await readChanges(source, position, 1)).changes.map(({ key }) => key)).toEqual([{ id: 13 }]);
  await sql.query('SET GLOBAL binlog_checksum = CRC32');
});

test('rows that a cascade deletes are in the binlog of a server without findings about cascades', async () => {
  const source = mysqlSource(mysqlSettings(stack.urls.mysql), [table('t'), table('child')]);
  const start = await source.start();
  await sql.query("INSERT INTO t VALUES (20, 'a'); INSERT INTO child VALUES (1, 20); DELETE FROM t WHERE id = 20");
  const { changes } = await readChanges(source, start, 4);
  expect(changes.map(({ op, table }) => `${op} ${table}`).sort()).toEqual(['c child', 'c t', 'd child', 'd t']);
});

test('missing privileges come with their GRANT statements, which suffice', async () => {
  await sql.query("CREATE USER 'some one'@'%' IDENTIFIED BY 'pass word'");
  const url = new URL(stack.urls.mysql);
  url.username = 'some%20one';
  url.password = 'pass%20word';
  const findings = await check(url.href, 't');
  expect(findings.map(({ level, code }) => `${level} ${code}`)).toEqual([
    'error SOURCE_PRIVILEGE',
    'error SOURCE_PRIVILEGE',
    'error SOURCE_PRIVILEGE',
    'error SOURCE_TABLE_MISSING',
    'warning SOURCE_PRIVILEGE',
  ]);
  expect(findings.at(-1)?.fix).toBe("-- Only where applications use XA transactions:\nGRANT XA_RECOVER_ADMIN ON *.* TO 'some one'@'%';");
  // A new pipeline starts without it all the same.
  await sql.query("GRANT REPLICATION CLIENT ON *.* TO 'some one'@'%'");
  expect(JSON.parse(await mysqlSource(mysqlSettings(url.href), [table('t')]).start())).toMatchObject({ xa: [] });
  for (const { code, fix } of findings) if (code === 'SOURCE_PRIVILEGE') await sql.query(fix ?? '');
  expect(await check(url.href, 't')).toEqual([]);
  const source = mysqlSource(mysqlSettings(url.href), [table('t')]);
  const start = await source.start();
  await sql.query("INSERT INTO t VALUES (30, 'a')");
  expect((await readChanges(source, start, 1)).changes).toHaveLength(1);
  // A partial revoke takes a database out of a grant on everything; a grant on the table counts all the same.
  await sql.query("SET GLOBAL partial_revokes = ON; GRANT SELECT ON *.* TO 'some one'@'%'; REVOKE SELECT ON shop.* FROM 'some one'@'%'");
  expect(await check(url.href, 't')).toEqual([]);
  expect(await check(url.href, 'child')).toContainEqual(
    expect.objectContaining({ code: 'SOURCE_PRIVILEGE', fix: "GRANT SELECT ON `shop`.`child` TO 'some one'@'%';" }),
  );
  await sql.query("REVOKE REPLICATION SLAVE ON *.* FROM 'some one'@'%'");
  expect(await readFailure(source, start)).toMatchObject({ code: 'SOURCE_PRIVILEGE', fault: 'fatal' });
});

test('a wrong password is fatal, an unreachable server is not; both are findings of check', async () => {
  const url = new URL(stack.urls.mysql);
  url.password = 'secret-and-wrong';
  const wrong = mysqlSource(mysqlSettings(url.href), [table('t')]);
  await expect(wrong.start()).rejects.toMatchObject({
    code: 'SOURCE_AUTH',
    fault: 'fatal',
    message: expect.not.stringContaining('secret-and-wrong'),
  });
  expect(await wrong.check()).toMatchObject([{ level: 'error', code: 'SOURCE_AUTH' }]);
  const away = mysqlSource(mysqlSettings('mysql://root@127.0.0.1:1'), [table('t')]);
  await expect(away.start()).rejects.toMatchObject({ code: 'SOURCE_UNREACHABLE', fault: 'retry' });
  expect(await away.check()).toMatchObject([{ level: 'error', code: 'SOURCE_UNREACHABLE' }]);
});

test('TLS verifies the certificate unless told otherwise', async () => {
  const verified = mysqlSource(mysqlSettings(stack.urls.mysql, { tls: true }), [table('t')]);
  await expect(verified.start()).rejects.toMatchObject({ code: 'SOURCE_AUTH', fault: 'fatal' });
  const trusting = mysqlSource(mysqlSettings(stack.urls.mysql, { tls: { verify: false } }), [table('t')]);
  const start = await trusting.start();
  await sql.query("INSERT INTO t VALUES (40, 'a')");
  expect((await readChanges(trusting, start, 1)).changes).toHaveLength(1);
});

test('a server id that is the source itself is found', async () => {
  const source = mysqlSource(mysqlSettings(stack.urls.mysql, { serverId: 1 }), [table('t')]);
  expect(await source.check()).toMatchObject([{ level: 'error', code: 'SOURCE_SERVER_ID_TAKEN' }]);
});

test('init sees every table that could be captured', async () => {
  const tables = await listTables(mysqlSettings(stack.urls.mysql));
  expect(tables.map(({ table }) => `${table.database}.${table.table}`)).toEqual([
    'shop.child',
    'shop.isam',
    'shop.keyless',
    'shop.odd',
    'shop.t',
  ]);
});
