/** What a server's owner may have set for sessions, and what must not matter to us: zones, SQL modes, character sets, time-outs. */
import type { Connection } from 'mysql2/promise';
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { highBytes } from '../../connectors/mysql/stream/outbox.ts';
import type { Stack } from '../../stack/stack.ts';
import { mysqlSettings, mysqlSource, readChanges, until } from '../support/mysql-server.ts';
import { privateStack } from '../support/servers.ts';

const database = 'größe';
const table = { database, table: `wörter "und' \\ mehr` };
const tableSql = '`größe`.`wörter "und\' \\ mehr`';
const odd = (flavor: 'mysql' | 'mariadb') => [
  '--default-time-zone=-11:30',
  '--sql-mode=ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT',
  '--character-set-server=latin1',
  '--init-connect=SET NAMES latin1',
  '--net-write-timeout=2',
  // MySQL 9 knows it no more.
  ...(flavor === 'mariadb' ? ['--character-set-client-handshake=OFF'] : []),
];

describe.each(['mysql', 'mariadb'] as const)('%s', (flavor) => {
  let stack: Stack<'mysql' | 'mariadb'>;
  let sql: Connection;
  let url: string;
  beforeAll(async () => {
    stack = await privateStack({ servers: [flavor], extraArgs: { [flavor]: odd(flavor) } });
    sql = await createConnection({ uri: stack.urls[flavor] });
    for (const statement of [
      "SET NAMES utf8mb4, SESSION sql_mode = ''",
      'CREATE DATABASE `größe`',
      `CREATE TABLE ${tableSql} (id INT PRIMARY KEY, \`naïve\` VARCHAR(40) CHARACTER SET utf8mb4, at TIMESTAMP(6) NULL)`,
      'CREATE TABLE `größe`.big (id INT PRIMARY KEY, body LONGTEXT)',
      "CREATE USER reader IDENTIFIED BY 'x'",
    ])
      await sql.query(statement);
    // init_connect is not for those who may do everything.
    const parsed = new URL(stack.urls[flavor]);
    parsed.username = 'reader';
    parsed.password = 'x';
    url = parsed.href;
  }, 120_000);
  afterAll(async () => {
    await sql.end();
    await stack[Symbol.asyncDispose]();
  });

  test('names, zones and modes of the sessions change nothing', async () => {
    const source = mysqlSource(mysqlSettings(url), [table]);
    for (const { fix = '' } of (await source.check()).filter(({ code }) => code === 'SOURCE_PRIVILEGE')) await sql.query(fix);
    expect(await source.check()).toEqual([]);
    expect((await source.schemas([table]))[0]?.columns.map(({ name }) => name)).toEqual(['id', 'naïve', 'at']);
    const start = await source.start();
    const { throughUs } = JSON.parse(start) as { throughUs: number };
    expect(Math.abs(throughUs / 1000 - Date.now())).toBeLessThan(5000);
    await sql.query(`SET SESSION time_zone = '+02:00'`);
    await sql.query(`INSERT INTO ${tableSql} VALUES (1, 'Äpfel', '2026-07-01 12:00:00.5')`);
    const { changes, position } = await readChanges(source, start, 1);
    expect(changes[0]).toMatchObject({ after: { id: 1, naïve: 'Äpfel', at: '2026-07-01T10:00:00.500000Z' } });
    await sql.query(`UPDATE ${tableSql} SET \`naïve\` = 'Öl'`);
    expect((await readChanges(source, position, 1)).changes).toMatchObject([{ op: 'u', after: { naïve: 'Öl' } }]);
    expect(await source.check(position)).toEqual([]);
  });

  test('a consumer that stalls for longer than net_write_timeout gets everything all the same', async () => {
    const big = mysqlSource(mysqlSettings(stack.urls[flavor]), [{ database, table: 'big' }]);
    const start = await big.start();
    const reading = big.read(start, AbortSignal.timeout(50_000))[Symbol.asyncIterator]();
    await reading.next();
    const pull = reading.next();
    // More than the buffers of both sides and of the sockets between them: the server's write has to wait.
    for (let id = 0; id < 60; id += 1) await sql.query('INSERT INTO `größe`.big VALUES (?, REPEAT(?, 1000000))', [id, 'x']);
    let count = (await pull).value?.changes.length ?? 0;
    await until(() => big.bufferedBytes >= highBytes);
    const threeTimesTheTimeoutMs = 6000;
    await new Promise((resolve) => setTimeout(resolve, threeTimesTheTimeoutMs));
    while (count < 60) count += (await reading.next()).value?.changes.length ?? 0;
    expect(count).toBe(60);
    await reading.return?.();
  });
});

test.each(['mysql', 'mariadb'] as const)('%s without a binlog is told so, and nothing that follows from it', async (flavor) => {
  // The recipe names a binlog; the last word counts. MariaDB's server_id cannot be 0.
  const extraArgs = { mysql: ['--skip-log-bin', '--server-id=0'], mariadb: ['--skip-log-bin'] };
  await using stack = await privateStack({ servers: [flavor], extraArgs });
  const source = mysqlSource(mysqlSettings(stack.urls[flavor]), []);
  expect((await source.check()).map(({ level, message }) => `${level} ${message}`)).toEqual([
    'error the server writes no binlog',
    ...(flavor === 'mysql' ? ['error server_id is 0: the server refuses to send its binlog to anybody'] : []),
  ]);
  await expect(source.start()).rejects.toMatchObject({ code: 'SOURCE_SETTING', fault: 'fatal' });
});
