/** Settings of the server that reading depends on, for both flavors. */
import type { TableId } from '../../../src/core/change.ts';
import type { Finding } from '../../../src/core/ports.ts';
import { isAtLeast, type Metadata, type ServerVersion } from '../server/metadata.ts';
import type { Flavor } from '../position/executed.ts';
import { finding } from './finding.ts';

interface Demand {
  readonly variable: string;
  /** Where only one flavor has it, or has it with this meaning. */
  readonly only?: Flavor;
  readonly good: (value: string) => boolean;
  readonly level: Finding['level'];
  readonly message: (value: string) => string;
  /** The value to set; or what to do where it cannot be set while the server runs. */
  readonly set?: string;
  readonly fix?: string;
  /** A server without it is too old. */
  readonly mandatory?: true;
}

const on = (value: string) => value === 'ON' || value === '1';
const kept = ' (sessions that are open keep the old value until they end)';

const demands: readonly Demand[] = [
  {
    variable: 'log_bin',
    good: on,
    level: 'error',
    message: () => 'the server writes no binlog',
    fix: 'in its my.cnf, then restart it: log_bin = binlog (and no skip-log-bin)',
    mandatory: true,
  },
  {
    variable: 'server_id',
    good: (value) => value !== '0',
    level: 'error',
    message: () => 'server_id is 0: the server refuses to send its binlog to anybody',
    set: '1',
  },
  {
    variable: 'binlog_format',
    good: (value) => value === 'ROW',
    level: 'error',
    message: (value) => `binlog_format is ${value}${kept}`,
    set: 'ROW',
    mandatory: true,
  },
  {
    variable: 'binlog_row_image',
    good: (value) => value === 'FULL',
    level: 'error',
    message: (value) => `binlog_row_image is ${value}: images would lack columns${kept}`,
    set: 'FULL',
    mandatory: true,
  },
  {
    variable: 'binlog_row_metadata',
    good: (value) => value === 'FULL',
    level: 'error',
    message: (value) => `binlog_row_metadata is ${value}: rows would come without column names and keys`,
    set: 'FULL',
    mandatory: true,
  },
  {
    variable: 'binlog_storage_engine',
    only: 'mariadb',
    good: (value) => value === '',
    level: 'error',
    message: (value) => `the binlog is kept by ${value} (binlog_storage_engine), whose files and places are not carried`,
    fix: 'in its my.cnf, then restart it: remove binlog_storage_engine',
  },
  {
    variable: 'gtid_mode',
    only: 'mysql',
    good: (value) => value === 'ON',
    level: 'warning',
    message: (value) => `gtid_mode is ${value}: after a failover to another server capture cannot go on`,
    fix: 'SET PERSIST enforce_gtid_consistency = ON; SET PERSIST gtid_mode = OFF_PERMISSIVE; SET PERSIST gtid_mode = ON_PERMISSIVE; SET PERSIST gtid_mode = ON;',
  },
  {
    variable: 'gtid_strict_mode',
    only: 'mariadb',
    good: on,
    level: 'warning',
    message: () => 'gtid_strict_mode is OFF: GTIDs out of order can get into the binlog, at which capture stops',
    set: 'ON',
  },
  {
    variable: 'sync_binlog',
    good: (value) => value === '1',
    level: 'warning',
    message: (value) => `sync_binlog is ${value}: after a power cut the source can forget transactions that the targets have`,
    set: '1',
  },
  {
    variable: 'innodb_flush_log_at_trx_commit',
    good: (value) => value === '1',
    level: 'warning',
    message: (value) =>
      `innodb_flush_log_at_trx_commit is ${value}: after a power cut the tables can lack transactions that are in the binlog and in the targets`,
    set: '1',
  },
];

/** The statement that sets a variable for good. MariaDB keeps nothing by itself: the line for my.cnf goes along. */
export function setStatement(flavor: Flavor, variable: string, value: string): string {
  return flavor === 'mysql'
    ? `SET PERSIST ${variable} = ${value};`
    : `-- and in my.cnf under [mariadb], for the next start: ${variable} = ${value}\nSET GLOBAL ${variable} = ${value};`;
}

export async function checkSettings(metadata: Metadata, tables: readonly TableId[]): Promise<Finding[]> {
  const version = await metadata.version();
  const values = await metadata.variables(demands.map(({ variable }) => variable));
  const found = demands.flatMap((demand) => findingsOf(demand, values.get(demand.variable), version));
  if (found.some(({ message }) => message === 'the server writes no binlog')) return found;
  return [...found, ...(await checkFilters(metadata, tables)), ...(await checkReplica(metadata))];
}

function findingsOf(demand: Demand, value: string | undefined, version: ServerVersion): Finding[] {
  const { variable, only, good, level, message, set, fix, mandatory } = demand;
  if (only !== undefined && only !== version.flavor) return [];
  if (value === undefined) {
    const needed = version.flavor === 'mysql' ? 'MySQL 8.0' : 'MariaDB 10.5';
    return mandatory
      ? [finding('error', 'SOURCE_SETTING', `the server has no ${variable}: it is too old (${needed} or newer is needed)`)]
      : [];
  }
  if (good(value)) return [];
  return [finding(level, 'SOURCE_SETTING', message(value), fix ?? setStatement(version.flavor, variable, set ?? ''))];
}

/** binlog-do-db and binlog-ignore-db: changes of a database that they leave out are in no binlog. */
async function checkFilters(metadata: Metadata, tables: readonly TableId[]): Promise<Finding[]> {
  const [status] = await metadata.rows(await metadata.statusStatement()).catch(() => []);
  const list = (name: string) =>
    String(status?.[name] ?? '')
      .split(',')
      .filter((database) => database !== '');
  const only = list('Binlog_Do_DB');
  const ignored = list('Binlog_Ignore_DB');
  const databases = [...new Set(tables.map(({ database }) => database))];
  const left = databases.filter((database) => (only.length > 0 ? !only.includes(database) : ignored.includes(database)));
  return left.map((database) =>
    finding(
      'error',
      'SOURCE_SETTING',
      `the server writes no changes of database ${database} to its binlog (${only.length > 0 ? 'binlog-do-db' : 'binlog-ignore-db'})`,
      `in its my.cnf, then restart it: remove ${only.length > 0 ? 'binlog-do-db' : `binlog-ignore-db = ${database}`}`,
    ),
  );
}

/** A replica passes on what it receives only when it writes it to its own binlog too: off by default on MariaDB. */
async function checkReplica(metadata: Metadata): Promise<Finding[]> {
  const updates = (await metadata.variables(['log_slave_updates'])).get('log_slave_updates');
  if (updates === undefined || on(updates) || !(await isReplica(metadata))) return [];
  const { flavor } = await metadata.version();
  const name = flavor === 'mysql' ? 'log_replica_updates' : 'log_slave_updates';
  return [
    finding(
      'error',
      'SOURCE_SETTING',
      `the server is a replica and does not write what it receives to its binlog (${name} is OFF)`,
      `in its my.cnf, then restart it: ${name} = ON; or read the server that it replicates from`,
    ),
  ];
}

async function isReplica(metadata: Metadata): Promise<boolean> {
  const version = await metadata.version();
  if (version.flavor === 'mysql') {
    const statement = isAtLeast(version, 8, 2) ? 'SHOW REPLICA STATUS' : 'SHOW SLAVE STATUS';
    return (await metadata.rows(statement).catch(() => [])).length > 0;
  }
  // Its own statement wants a privilege that reading does not need.
  const [row] = await metadata.rows('SELECT @@GLOBAL.gtid_slave_pos AS replicated');
  return String(row?.['replicated'] ?? '') !== '';
}
