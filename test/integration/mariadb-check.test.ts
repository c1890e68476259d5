/** `check` over MariaDB: every finding with the statement that mends it, in MariaDB's words. */
import { readFileSync } from 'node:fs';
import type { Connection } from 'mysql2/promise';
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { statementsText } from '../../src/commands/check-text.ts';
import type { Stack } from '../../stack/stack.ts';
import { mysqlSettings, mysqlSource, readChanges, readFailure } from '../support/mysql-server.ts';
import { privateStack } from '../support/servers.ts';

/** A server of this suite's own, whose settings are changed. */
let stack: Stack<'mariadb'>;
let sql: Connection;
const table = (name: string) => ({ database: 'shop', table: name });

beforeAll(async () => {
  stack = await privateStack({ servers: ['mariadb'], extraArgs: { mariadb: ['--binlog-ignore-db=hidden'] } });
  sql = await createConnection({ uri: stack.urls.mariadb, multipleStatements: true });
  await sql.query(`CREATE DATABASE shop; CREATE DATABASE hidden; USE shop; CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(40));
    CREATE TABLE keyless (a INT); CREATE TABLE versioned (id INT PRIMARY KEY, s BIGINT UNSIGNED GENERATED ALWAYS AS ROW START INVISIBLE,
      e BIGINT UNSIGNED GENERATED ALWAYS AS ROW END INVISIBLE, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING; CREATE SEQUENCE numbers;
    CREATE VIEW seen AS SELECT * FROM t; CREATE TABLE aria (id INT PRIMARY KEY) ENGINE = Aria; CREATE TABLE hidden.h (id INT PRIMARY KEY);
    CREATE TABLE child (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES t (id) ON DELETE CASCADE);
    CREATE TABLE dated (id INT PRIMARY KEY, x INT) WITH SYSTEM VERSIONING;
    CREATE TABLE \`od\`\`d\` (id INT PRIMARY KEY, parent INT, a VARCHAR(99) COMMENT 'CONSTRAINT \`c\` FOREIGN KEY ON DELETE CASCADE',
      CONSTRAINT \`ON DELETE CASCADE\` FOREIGN KEY (parent) REFERENCES t (id) ON DELETE RESTRICT,
      CONSTRAINT \`ke\`\`y\` FOREIGN KEY (parent) REFERENCES t (id) ON DELETE RESTRICT ON UPDATE SET NULL)`);
}, 120_000);
afterAll(async () => {
  await sql.end();
  await stack[Symbol.asyncDispose]();
});

const check = (url: string, ...tables: string[]) => mysqlSource(mysqlSettings(url), tables.map(table)).check();

test('a good server and a good table have no findings', async () => {
  expect(await check(stack.urls.mariadb, 't')).toEqual([]);
});

test('every table problem comes at once, each with its remedy', async () => {
  const tables = [
    ...['keyless', 'versioned', 'dated', 'numbers', 'seen', 'nowhere', 'aria', 'child', 'od`d'].map(table),
    { database: 'hidden', table: 'h' },
  ];
  const findings = await mysqlSource(mysqlSettings(stack.urls.mariadb), tables).check();
  expect(findings.map(({ level, code, message }) => `${level} ${code} ${message}`)).toEqual([
    'error SOURCE_SETTING the server writes no changes of database hidden to its binlog (binlog-ignore-db)',
    'error SOURCE_TABLE_KEYLESS shop.keyless has no primary key and no unique key without NULL',
    'error SOURCE_SETTING shop.versioned is versioned by transaction numbers: the server writes its changes as statements, which are not carried',
    'warning SOURCE_SETTING shop.dated is system-versioned: each UPDATE and DELETE brings the former version as a row of its own, told apart by row_end alone',
    'error SOURCE_TABLE_MISSING shop.numbers is no table but a sequence',
    'error SOURCE_TABLE_MISSING shop.seen is no table but a view',
    'error SOURCE_TABLE_MISSING there is no table shop.nowhere, or we may not see it',
    'warning SOURCE_SETTING shop.aria is kept by Aria, which has no transactions: after a crash of the server its rows and the binlog can differ',
    expect.stringMatching(/^error SOURCE_SETTING foreign key \S+ of shop\.child changes rows by CASCADE or SET NULL/),
    expect.stringMatching(/^error SOURCE_SETTING foreign key ke`y of shop\.`od``d` changes rows by CASCADE or SET NULL/),
  ]);
  expect(findings.every(({ fix }) => fix !== undefined)).toBe(true);
  for (const statement of findings.map(({ fix }) => fix ?? '').filter((fix) => /^ALTER/m.test(fix))) await sql.query(statement);
  expect(await check(stack.urls.mariadb, 'aria')).toEqual([]);
});

test("a user with the guide's privileges, and no more, is told all that root is told", async () => {
  const guide = readFileSync(new URL('../../docs/guide.md', import.meta.url), 'utf8');
  const [, block = ''] = /## MariaDB[^]*?```sql\n([^]*?)```/.exec(guide) ?? [];
  await sql.query(block.replace('…', 'pass'));
  const url = new URL(stack.urls.mariadb);
  url.username = 'crossfade';
  url.password = 'pass';
  const tables = ['t', 'keyless', 'versioned', 'dated', 'numbers', 'seen', 'aria', 'child', 'od`d'];
  const told = await check(stack.urls.mariadb, ...tables);
  expect(told.filter(({ message }) => message.includes('CASCADE'))).toHaveLength(2);
  expect(await check(url.href, ...tables)).toEqual(told);
  const ids = tables.map(table);
  const shapes = (of: string) => mysqlSource(mysqlSettings(of), ids).schemas(ids);
  expect(await shapes(url.href)).toEqual(await shapes(stack.urls.mariadb));
});

test('every setting that is wrong comes with the statement that mends it, and the line for my.cnf', async () => {
  await sql.query(
    `SET GLOBAL binlog_format = MIXED, GLOBAL binlog_row_image = MINIMAL, GLOBAL binlog_row_metadata = NO_LOG, GLOBAL sync_binlog = 0,
            GLOBAL gtid_strict_mode = OFF, GLOBAL innodb_flush_log_at_trx_commit = 2, GLOBAL binlog_expire_logs_seconds = 3600`,
  );
  const findings = await check(stack.urls.mariadb, 't');
  expect(findings.map(({ level, message }) => `${level} ${message.split(/[ :]/)[0]}`)).toEqual([
    'error binlog_format',
    'error binlog_row_image',
    'error binlog_row_metadata',
    'warning gtid_strict_mode',
    'warning sync_binlog',
    'warning innodb_flush_log_at_trx_commit',
    'warning the',
  ]);
  expect(findings.at(-1)?.message).toBe('the server deletes its binlog after 60 minutes: a capture that is down for longer cannot go on');
  expect(findings[0]?.fix).toBe(
    '-- and in my.cnf under [mariadb], for the next start: binlog_format = ROW\nSET GLOBAL binlog_format = ROW;',
  );
  // What `crossfade check --statements` prints goes into the server as it is.
  await sql.query(statementsText(findings));
  expect(await check(stack.urls.mariadb, 't')).toEqual([]);
});

test('retention is held against where the log stands', async () => {
  const source = mysqlSource(mysqlSettings(stack.urls.mariadb), [table('t')]);
  const start = await source.start();
  await sql.query('SET GLOBAL binlog_expire_logs_seconds = 172800');
  expect(await source.check(start)).toEqual([]);
  const old = { ...(JSON.parse(start) as { throughUs: number }) };
  const findings = await source.check(JSON.stringify({ ...old, throughUs: old.throughUs - 47 * 3600e6 }));
  expect(findings).toMatchObject([
    { level: 'warning', code: 'SOURCE_SETTING', message: expect.stringContaining('the log stands 47 hours behind') },
  ]);
  expect(findings[0]?.fix).toContain('SET GLOBAL binlog_expire_logs_seconds = 604800;');
  await sql.query('SET GLOBAL binlog_expire_logs_seconds = 0');
});

test('missing privileges come with their GRANT statements, which suffice', async () => {
  await sql.query("CREATE USER 'some one'@'%' IDENTIFIED BY 'pass word'");
  const url = new URL(stack.urls.mariadb);
  url.username = 'some%20one';
  url.password = 'pass%20word';
  const findings = (await check(url.href, 't')).filter(({ code }) => code === 'SOURCE_PRIVILEGE');
  expect(findings.map(({ fix }) => fix)).toEqual([
    "GRANT REPLICATION SLAVE ON *.* TO 'some one'@'%';",
    "GRANT BINLOG MONITOR ON *.* TO 'some one'@'%';",
    "GRANT SELECT ON `shop`.`t` TO 'some one'@'%';",
  ]);
  for (const { fix } of findings) await sql.query(fix ?? '');
  expect(await check(url.href, 't')).toEqual([]);
  const source = mysqlSource(mysqlSettings(url.href), [table('t')]);
  const start = await source.start();
  await sql.query("INSERT INTO t VALUES (30, 'a')");
  const { position } = await readChanges(source, start, 1);
  expect((await source.check(position)).filter(({ level }) => level === 'error')).toEqual([]);
  await sql.query("REVOKE REPLICATION SLAVE ON *.* FROM 'some one'@'%'");
  expect(await readFailure(source, start)).toMatchObject({ code: 'SOURCE_PRIVILEGE', fault: 'fatal' });
  // A role gives what it has.
  await sql.query(
    "CREATE ROLE reader; GRANT REPLICATION SLAVE ON *.* TO reader; GRANT reader TO 'some one'; SET DEFAULT ROLE reader FOR 'some one'",
  );
  expect(await check(url.href, 't')).toEqual([]);
});

test('a server id that is the source itself is found', async () => {
  const source = mysqlSource(mysqlSettings(stack.urls.mariadb, { serverId: 1 }), [table('t')]);
  expect(await source.check()).toMatchObject([{ level: 'error', code: 'SOURCE_SERVER_ID_TAKEN' }]);
});
