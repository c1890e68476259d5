/** What `check` asks a server that no suite can set up: one row for each demand, answered by a server that is made up. */
import { describe, expect, test } from 'vitest';
import { checkServerId } from '../../connectors/mysql/check/check-server-id.ts';
import { checkSettings } from '../../connectors/mysql/check/check-settings.ts';
import { checkOpenXa } from '../../connectors/mysql/check/check-xa.ts';
import type { MysqlSettings } from '../../connectors/mysql/config.ts';
import type { Flavor } from '../../connectors/mysql/position/executed.ts';
import { parseVersion, type Metadata, type Row } from '../../connectors/mysql/server/metadata.ts';
import { CrossfadeError } from '../../src/core/errors.ts';

const good = {
  log_bin: 'ON',
  server_id: '1',
  binlog_format: 'ROW',
  binlog_row_image: 'FULL',
  binlog_row_metadata: 'FULL',
  gtid_mode: 'ON',
  gtid_strict_mode: 'ON',
  binlog_storage_engine: '',
  sync_binlog: '1',
  innodb_flush_log_at_trx_commit: '1',
  log_slave_updates: 'ON',
};
type Answers = Readonly<Record<string, readonly Row[] | 'refused'>>;

/** `answers` by the beginning of the question; every other one has no rows. */
function server(version: string, variables: Readonly<Record<string, string | undefined>>, answers: Answers = {}): Metadata {
  const rows = async (sql: string): Promise<readonly Row[]> => {
    const found = Object.entries(answers).find(([question]) => sql.startsWith(question))?.[1] ?? [];
    if (found === 'refused') throw new CrossfadeError({ code: 'SOURCE_PRIVILEGE', fault: 'fatal', message: 'no', remedy: 'no' });
    return found;
  };
  const fake: Pick<Metadata, 'rows' | 'version' | 'variables' | 'statusStatement'> = {
    rows,
    version: async () => parseVersion(version),
    variables: async (names) =>
      new Map(names.flatMap((name) => (variables[name] === undefined ? [] : [[name, variables[name]] as [string, string]]))),
    statusStatement: async () => 'SHOW BINARY LOG STATUS',
  };
  return fake as Metadata;
}
const versions: Readonly<Record<Flavor, string>> = { mysql: '9.7.4', mariadb: '10.11.18-MariaDB' };
const tables = [{ database: 'shop', table: 't' }];

describe('settings', () => {
  test.each(['mysql', 'mariadb'] as const)('%s as it should be has no finding', async (flavor) => {
    expect(await checkSettings(server(versions[flavor], good), tables)).toEqual([]);
  });

  test.each([
    ['mysql', { log_bin: 'OFF' }, 'error', 'writes no binlog', /log_bin = binlog/],
    ['mysql', { server_id: '0' }, 'error', 'server_id is 0', /^SET PERSIST server_id = 1;$/],
    ['mariadb', { server_id: '0' }, 'error', 'server_id is 0', /\nSET GLOBAL server_id = 1;$/],
    ['mysql', { binlog_format: 'STATEMENT' }, 'error', 'binlog_format is STATEMENT', /binlog_format = ROW;$/],
    ['mysql', { binlog_row_image: 'NOBLOB' }, 'error', 'binlog_row_image is NOBLOB', /binlog_row_image = FULL;$/],
    ['mysql', { binlog_row_metadata: 'MINIMAL' }, 'error', 'binlog_row_metadata is MINIMAL', /binlog_row_metadata = FULL;$/],
    ['mysql', { binlog_row_metadata: undefined }, 'error', 'no binlog_row_metadata: it is too old (MySQL 8.0', undefined],
    ['mariadb', { binlog_row_metadata: undefined }, 'error', 'no binlog_row_metadata: it is too old (MariaDB 10.5', undefined],
    ['mariadb', { binlog_storage_engine: 'innodb' }, 'error', 'the binlog is kept by innodb', /remove binlog_storage_engine$/],
    ['mysql', { gtid_mode: 'OFF_PERMISSIVE' }, 'warning', 'gtid_mode is OFF_PERMISSIVE', /gtid_mode = ON;$/],
    ['mariadb', { gtid_strict_mode: 'OFF' }, 'warning', 'gtid_strict_mode is OFF', /gtid_strict_mode = ON;$/],
    ['mysql', { sync_binlog: '100' }, 'warning', 'sync_binlog is 100', /sync_binlog = 1;$/],
    ['mysql', { innodb_flush_log_at_trx_commit: '2' }, 'warning', 'commit is 2', /commit = 1;$/],
  ] as const)('%s with %j: %s', async (flavor, variables, level, message, fix) => {
    const found = await checkSettings(server(versions[flavor], { ...good, ...variables }), tables);
    expect(found).toEqual([expect.objectContaining({ level, code: 'SOURCE_SETTING', message: expect.stringContaining(message) })]);
    if (fix === undefined) expect(found[0]?.fix).toBeUndefined();
    else expect(found[0]?.fix).toMatch(fix);
  });

  test('what only the other flavor has is not asked of this one', async () => {
    expect(await checkSettings(server(versions.mysql, { ...good, gtid_strict_mode: 'OFF', binlog_storage_engine: 'x' }), tables)).toEqual(
      [],
    );
    expect(await checkSettings(server(versions.mariadb, { ...good, gtid_mode: 'OFF' }), tables)).toEqual([]);
  });

  test.each([
    ['mysql', 'SHOW REPLICA STATUS', [{ Source_Host: 'a' }], 'log_replica_updates'],
    ['mariadb', 'SELECT @@GLOBAL.gtid_slave_pos', [{ replicated: '0-2-9' }], 'log_slave_updates'],
  ] as const)('%s as a replica that does not log what it receives', async (flavor, question, answer, name) => {
    const variables = { ...good, log_slave_updates: 'OFF' };
    expect(await checkSettings(server(versions[flavor], variables, { [question]: answer }), tables)).toMatchObject([
      {
        level: 'error',
        code: 'SOURCE_SETTING',
        message: expect.stringContaining('is a replica'),
        fix: expect.stringContaining(`${name} = ON`),
      },
    ]);
    // No replica, or one that logs it: nothing.
    expect(await checkSettings(server(versions[flavor], variables), tables)).toEqual([]);
    expect(await checkSettings(server(versions[flavor], good, { [question]: answer }), tables)).toEqual([]);
  });

  test.each([
    [{ Binlog_Do_DB: 'other,more' }, ['binlog-do-db']],
    [{ Binlog_Do_DB: 'other,shop' }, []],
    [{ Binlog_Ignore_DB: 'shop,other' }, ['binlog-ignore-db = shop']],
    [{ Binlog_Ignore_DB: 'shopping' }, []],
    // With both the first counts.
    [{ Binlog_Do_DB: 'shop', Binlog_Ignore_DB: 'shop' }, []],
  ])('databases that the binlog leaves out: %j', async (status, left) => {
    const found = await checkSettings(server(versions.mysql, good, { 'SHOW BINARY LOG STATUS': [status] }), tables);
    expect(found.map(({ level, fix }) => `${level} ${fix}`)).toEqual(
      left.map((what) => `error in its my.cnf, then restart it: remove ${what}`),
    );
  });
});

describe('serverId', () => {
  const settings = (serverId?: number) => (serverId === undefined ? {} : { serverId }) as MysqlSettings;
  const own = { 'SELECT @@GLOBAL.server_id': [{ id: 1 }] };
  const dump = (host: string) => ({ Command: 'Binlog Dump GTID', Host: host });
  const check = (flavor: Flavor, answers: Answers, serverId?: number) =>
    checkServerId(server(versions[flavor], good, { ...own, ...answers }), settings(serverId));

  test("the source's own, and one of a replica, on both flavors", async () => {
    expect(await check('mysql', {}, 1)).toMatchObject([{ level: 'error', code: 'SOURCE_SERVER_ID_TAKEN' }]);
    expect(await check('mysql', { 'SHOW REPLICAS': [{ Server_Id: 7 }, { Server_Id: 8 }] }, 8)).toMatchObject([
      { level: 'error', code: 'SOURCE_SERVER_ID_TAKEN', message: expect.stringContaining('serverId 8 is taken') },
    ]);
    expect(await check('mariadb', { 'SHOW REPLICA HOSTS': [{ Server_id: 8 }] }, 8)).toMatchObject([{ level: 'error' }]);
    expect(await check('mysql', { 'SHOW REPLICAS': [{ Server_Id: 7 }] }, 8)).toEqual([]);
    expect(await check('mysql', { 'SHOW REPLICAS': 'refused' }, 8)).toEqual([]);
    expect(await check('mysql', { 'SHOW REPLICAS': [{ Server_Id: 8 }] })).toEqual([]);
  });

  test('a reader that is no replica is seen, but not its id', async () => {
    const sessions = [{ Command: 'Query', Host: 'me:1' }, dump('10.0.0.1:4000'), dump('10.0.0.2:4001')];
    const replica = { 'SHOW REPLICAS': [{ Server_Id: 7 }] };
    const root = { 'SHOW GRANTS': [{ g: 'GRANT ALL PRIVILEGES ON *.* TO `root`@`%`' }] };
    const [found, ...more] = await check('mysql', { ...replica, ...root, 'SHOW PROCESSLIST': sessions }, 8);
    expect(more).toEqual([]);
    expect(found).toMatchObject({
      level: 'warning',
      code: 'SOURCE_SERVER_ID_TAKEN',
      message: expect.stringContaining('10.0.0.1, 10.0.0.2'),
    });
    expect(found?.message).not.toContain('PROCESS');
    // All are replicas.
    expect(await check('mysql', { ...replica, ...root, 'SHOW PROCESSLIST': sessions.slice(0, 2) }, 8)).toEqual([]);
    const few = { 'SHOW GRANTS': [{ g: 'GRANT SELECT, REPLICATION SLAVE ON *.* TO `c`@`%`' }], 'SELECT CURRENT_USER()': [{ me: 'c@%' }] };
    expect(await check('mysql', { ...few, 'SHOW PROCESSLIST': sessions }, 8)).toMatchObject([
      { message: expect.stringContaining("GRANT PROCESS ON *.* TO 'c'@'%'") },
    ]);
    const process = { 'SHOW GRANTS': [{ g: 'GRANT SELECT, PROCESS, REPLICATION SLAVE ON *.* TO `c`@`%`' }] };
    expect((await check('mysql', { ...process, 'SHOW PROCESSLIST': sessions }, 8))[0]?.message).not.toContain('GRANT');
  });
});

describe('XA that is open when a new pipeline begins', () => {
  const prepared = [
    { formatID: 7, gtrid_length: 3, bqual_length: 2, data: '0x6180FF6271' },
    { formatID: 1, gtrid_length: 1, bqual_length: 0, data: '0x62' },
  ];
  test('is counted, and the first is named as a statement takes it', async () => {
    expect(await checkOpenXa(server(versions.mysql, good))).toEqual([]);
    expect(await checkOpenXa(server(versions.mysql, good, { 'XA RECOVER CONVERT XID': prepared }))).toMatchObject([
      {
        level: 'warning',
        code: 'SOURCE_XA_OPEN',
        message: expect.stringContaining("2 XA transactions are prepared, the first of them X'6180FF',X'6271',7"),
        fix: expect.stringContaining("XA ROLLBACK X'6180FF',X'6271',7;"),
      },
    ]);
    expect(
      await checkOpenXa(server(versions.mariadb, good, { "XA RECOVER FORMAT='SQL'": [{ data: "X'6180ff',X'6271',7" }] })),
    ).toMatchObject([{ message: expect.stringContaining("1 XA transaction is prepared, the first of them X'6180ff',X'6271',7") }]);
  });
  test('who may not ask is told the GRANT', async () => {
    const answers = { 'XA RECOVER': 'refused', 'SELECT CURRENT_USER()': [{ me: 'c@10.%' }] } as const;
    expect(await checkOpenXa(server(versions.mysql, good, answers))).toMatchObject([
      {
        level: 'warning',
        code: 'SOURCE_PRIVILEGE',
        fix: "-- Only where applications use XA transactions:\nGRANT XA_RECOVER_ADMIN ON *.* TO 'c'@'10.%';",
      },
    ]);
  });
});
