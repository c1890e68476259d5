/** Everything that must be so before capture can start, all at once, each with the statement that makes it so. */
import type { Position, TableId } from '../../src/core/change.ts';
import { CrossfadeError } from '../../src/core/errors.ts';
import type { Finding, Logger } from '../../src/core/ports.ts';
import { checkPrivileges } from './check-privileges.ts';
import { checkCascades, checkTable } from './check-tables.ts';
import { Metadata } from './connect.ts';
import type { MysqlSettings } from './config.ts';
import { finding } from './finding.ts';
import { planRead } from './history.ts';
import { describeTables } from './information-schema.ts';
import { parsePosition } from './position.ts';

export interface CheckOptions {
  readonly tables: readonly TableId[];
  readonly keys: ReadonlyMap<string, readonly string[]>;
  readonly logger: Logger;
}

export async function checkSource(
  settings: MysqlSettings,
  { tables, keys, logger }: CheckOptions,
  resume?: Position,
): Promise<readonly Finding[]> {
  try {
    await using metadata = await Metadata.open(settings, 'checking');
    const described = await describeTables(metadata, tables);
    return [
      ...(await checkPrivileges(metadata, settings, tables)),
      ...(await checkSettings(metadata)),
      ...(await checkServerId(metadata, settings)),
      ...tables.flatMap((table) => checkTable(table, described, keys)),
      ...(await checkCascades(metadata, tables)),
      ...(resume === undefined ? [] : await checkHistory(metadata, resume, logger)),
    ];
  } catch (error) {
    if (!(error instanceof CrossfadeError)) throw error;
    return [finding('error', error.code, error.message, error.remedy)];
  }
}

/** Whether capture could go on from where the log is: the same verdicts that would stop it, but for the last transaction's content. */
async function checkHistory(metadata: Metadata, resume: Position, logger: Logger): Promise<Finding[]> {
  try {
    await planRead(metadata, parsePosition(resume), logger, AbortSignal.timeout(replicaWaitMs));
    return [];
  } catch (error) {
    if (error instanceof CrossfadeError) return [finding('error', error.code, error.message, error.remedy)];
    if (!(error instanceof DOMException)) throw error;
    const fix = 'Wait until the replica has caught up, or connect to the server that the log was written from.';
    return [
      finding('warning', 'SOURCE_HISTORY_DIVERGED', 'the server lacks transactions that the log holds; a replica may only be behind', fix),
    ];
  }
}

/** Shorter than capture waits for a replica that lags: somebody waits for the answer. */
const replicaWaitMs = 3000;

interface Demand {
  readonly variable: string;
  readonly good: (value: string) => boolean;
  readonly level: Finding['level'];
  readonly message: (value: string) => string;
  readonly fix: string;
}

const on = (value: string) => value === 'ON' || value === '1';
const demands: readonly Demand[] = [
  {
    variable: 'log_bin',
    good: on,
    level: 'error',
    message: () => 'the server writes no binlog',
    fix: 'start the server with log_bin (my.cnf: log_bin = binlog, and no skip-log-bin)',
  },
  {
    variable: 'binlog_format',
    good: (value) => value === 'ROW',
    level: 'error',
    message: (value) => `binlog_format is ${value}`,
    fix: 'SET PERSIST binlog_format = ROW;',
  },
  {
    variable: 'binlog_row_image',
    good: (value) => value === 'FULL',
    level: 'error',
    message: (value) => `binlog_row_image is ${value}: images would lack columns`,
    fix: 'SET PERSIST binlog_row_image = FULL;',
  },
  {
    variable: 'binlog_row_metadata',
    good: (value) => value === 'FULL',
    level: 'error',
    message: (value) => `binlog_row_metadata is ${value}: rows would come without column names and keys`,
    fix: 'SET PERSIST binlog_row_metadata = FULL;',
  },
  {
    variable: 'binlog_transaction_compression',
    good: (value) => !on(value),
    level: 'error',
    message: () => 'compressed transactions are not carried yet',
    fix: 'SET PERSIST binlog_transaction_compression = OFF;',
  },
  {
    variable: 'binlog_row_value_options',
    good: (value) => value === '',
    level: 'error',
    message: () => 'partial JSON updates are not carried yet',
    fix: "SET PERSIST binlog_row_value_options = '';",
  },
  {
    variable: 'gtid_mode',
    good: (value) => value === 'ON',
    level: 'warning',
    message: (value) => `gtid_mode is ${value}: after a failover to another server capture cannot go on`,
    fix: 'SET PERSIST enforce_gtid_consistency = ON; SET PERSIST gtid_mode = OFF_PERMISSIVE; SET PERSIST gtid_mode = ON_PERMISSIVE; SET PERSIST gtid_mode = ON;',
  },
  {
    variable: 'sync_binlog',
    good: (value) => value === '1',
    level: 'warning',
    message: (value) => `sync_binlog is ${value}: after a power cut the source can forget transactions that the targets have`,
    fix: 'SET PERSIST sync_binlog = 1;',
  },
];

/** A variable that the server does not know is not a problem: an older server without the feature. But these must be there. */
const mandatory = new Set(['log_bin', 'binlog_format', 'binlog_row_image', 'binlog_row_metadata']);

async function checkSettings(metadata: Metadata): Promise<Finding[]> {
  const values = await metadata.variables(demands.map(({ variable }) => variable));
  return demands.flatMap(({ variable, good, level, message, fix }) => {
    const value = values.get(variable);
    if (value === undefined)
      return mandatory.has(variable)
        ? [finding('error', 'SOURCE_SETTING', `the server has no ${variable}: it is too old (8.0 or newer is needed)`)]
        : [];
    return good(value) ? [] : [finding(level, 'SOURCE_SETTING', message(value), fix)];
  });
}

async function checkServerId(metadata: Metadata, settings: MysqlSettings): Promise<Finding[]> {
  const { serverId } = settings;
  if (serverId === undefined) return [];
  const [own] = await metadata.rows('SELECT @@GLOBAL.server_id AS id');
  if (Number(own?.['id']) === serverId) {
    return [
      finding(
        'error',
        'SOURCE_SERVER_ID_TAKEN',
        `serverId ${serverId} is the source's own server_id`,
        'remove "serverId" under "source", or take another number',
      ),
    ];
  }
  // Only replicas that registered are listed; another capture shows itself when the server ends one of the two.
  const replicas = await replicaIds(metadata);
  return replicas.includes(serverId)
    ? [
        finding(
          'error',
          'SOURCE_SERVER_ID_TAKEN',
          `serverId ${serverId} is taken by a replica of the source`,
          'remove "serverId" under "source", or take another number',
        ),
      ]
    : [];
}

async function replicaIds(metadata: Metadata): Promise<number[]> {
  try {
    return (await metadata.rows('SHOW REPLICAS')).map((row) => Number(row['Server_Id'] ?? row['Server_id']));
  } catch (error) {
    // Without REPLICATION SLAVE, or before 8.0.22: the privilege check says what is needed, and this is only a hint.
    if (error instanceof CrossfadeError && error.fault !== 'retry') return [];
    throw error;
  }
}
