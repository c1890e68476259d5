/** Everything that must be so before capture can start, all at once, each with the statement that makes it so. */
import { tableName, type TableId } from '../../src/core/change.ts';
import { CrossfadeError } from '../../src/core/errors.ts';
import type { Finding } from '../../src/core/ports.ts';
import { charset } from './charsets.ts';
import { unsupported } from './columns.ts';
import { Metadata, serverName } from './connect.ts';
import type { MysqlSettings } from './config.ts';
import { describeTables, keysOf, type TableDescription } from './information-schema.ts';

const where = 'source';
type Level = Finding['level'];
const finding = (level: Level, code: string, message: string, fix?: string, place = where): Finding => ({
  level,
  code,
  where: place,
  message,
  ...(fix === undefined ? {} : { fix }),
});

export interface CheckOptions {
  readonly tables: readonly TableId[];
  readonly keys: ReadonlyMap<string, readonly string[]>;
}

export async function checkSource(settings: MysqlSettings, { tables, keys }: CheckOptions): Promise<readonly Finding[]> {
  try {
    await using metadata = await Metadata.open(settings, 'checking');
    const described = await describeTables(metadata, tables);
    return [
      ...(await checkPrivileges(metadata, settings, tables)),
      ...(await checkSettings(metadata)),
      ...(await checkServerId(metadata, settings)),
      ...tables.flatMap((table) => checkTable(table, described, keys)),
      ...(await checkCascades(metadata, tables)),
    ];
  } catch (error) {
    if (!(error instanceof CrossfadeError)) throw error;
    return [finding('error', error.code, error.message, error.remedy)];
  }
}

interface Demand {
  readonly variable: string;
  readonly good: (value: string) => boolean;
  readonly level: Level;
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

/** SHOW GRANTS names what this user has, roles included; `ALL PRIVILEGES` and `*.*` cover the rest. */
async function checkPrivileges(metadata: Metadata, settings: MysqlSettings, tables: readonly TableId[]): Promise<Finding[]> {
  const [me] = await metadata.rows('SELECT CURRENT_USER() AS me, CURRENT_ROLE() AS roles');
  const [user = '', host = '%'] = String(me?.['me']).split(/@(?=[^@]*$)/);
  const account = `'${user}'@'${host}'`;
  const roles = String(me?.['roles'] ?? 'NONE');
  const rows = await metadata.rows(roles === 'NONE' ? 'SHOW GRANTS' : `SHOW GRANTS FOR CURRENT_USER() USING ${roles}`);
  const grants = rows.flatMap((row) => grantOf(String(Object.values(row)[0])));
  const globally = (privilege: string) => grants.some((grant) => grant.on === '*.*' && grant.has(privilege));
  const missing = ['REPLICATION SLAVE', 'REPLICATION CLIENT'].filter((privilege) => !globally(privilege));
  const found = missing.map((privilege) =>
    finding('error', 'SOURCE_PRIVILEGE', `${user}@${serverName(settings)} lacks ${privilege}`, `GRANT ${privilege} ON *.* TO ${account};`),
  );
  for (const { database, table } of tables) {
    const places = ['*.*', `${quoted(database)}.*`, `${quoted(database)}.${quoted(table)}`];
    if (grants.some((grant) => grant.has('SELECT') && places.some((place) => sameScope(grant.on, place)))) continue;
    const name = tableName({ database, table });
    found.push(
      finding(
        'error',
        'SOURCE_PRIVILEGE',
        `${user} may not read ${name}`,
        `GRANT SELECT ON ${quoted(database)}.${quoted(table)} TO ${account};`,
        `source: ${name}`,
      ),
    );
  }
  return found;
}

const quoted = (name: string) => `\`${name.replaceAll('`', '``')}\``;
/** In a grant on a database, `_` and `%` are wild and a backslash takes that away. */
function sameScope(granted: string, wanted: string): boolean {
  if (granted === wanted) return true;
  if (!granted.endsWith('.*')) return false;
  const pattern = granted
    .replace(/[.*+?^${}()|[\]]/g, '\\$&')
    .replace(/(?<!\\)_/g, '.')
    .replace(/(?<!\\)%/g, '.*')
    .replace(/\\\\?([_%])/g, '$1');
  return new RegExp(`^${pattern}$`).test(wanted);
}

interface Grant {
  readonly on: string;
  has(privilege: string): boolean;
}

function grantOf(text: string): Grant[] {
  const parts = /^GRANT (.*) ON (?:TABLE )?(\*\.\*|`(?:[^`]|``)+`\.(?:\*|`(?:[^`]|``)+`)) TO /.exec(text);
  if (!parts) return [];
  const names = new Set((parts[1] as string).split(', '));
  return [{ on: parts[2] as string, has: (privilege) => names.has(privilege) || names.has('ALL PRIVILEGES') }];
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

function checkTable(table: TableId, described: readonly TableDescription[], keys: ReadonlyMap<string, readonly string[]>): Finding[] {
  const name = tableName(table);
  const place = `source: ${name}`;
  const found = described.find(({ id }) => id.database === table.database && id.table === table.table);
  if (!found)
    return [
      finding(
        'error',
        'SOURCE_TABLE_MISSING',
        `there is no table ${name}, or it is a view, or we may not see it`,
        'correct the name in the configuration (letters as the server spells them)',
        place,
      ),
    ];
  const findings: Finding[] = [];
  const key = found.primaryKey.length > 0 ? [] : (keysOf([found], keys).get(name) ?? []);
  if (found.primaryKey.length === 0 && key.length === 0) {
    findings.push(
      finding(
        'error',
        'SOURCE_TABLE_KEYLESS',
        `${name} has no primary key and no unique key without NULL`,
        `ALTER TABLE ${quoted(table.database)}.${quoted(table.table)} ADD PRIMARY KEY (…); or under "source.keys" in the configuration: { ${name}: [columns] }`,
        place,
      ),
    );
  }
  for (const column of key) {
    if (found.columns.some(({ name }) => name === column)) continue;
    findings.push(
      finding(
        'error',
        'SOURCE_TABLE_KEYLESS',
        `${name} has no column ${column}, which the configuration names as key`,
        `correct "key" at ${name}`,
        place,
      ),
    );
  }
  for (const column of found.columns) {
    const why = unsupported(column, (set) => charset(set) !== undefined);
    if (why !== undefined)
      findings.push(
        finding(
          'error',
          'SOURCE_TYPE_UNSUPPORTED',
          `${name}.${column.name}: ${why}`,
          `take ${name} out of the configuration, or change the column`,
          place,
        ),
      );
  }
  return findings;
}

/**
 * Rows that a foreign key deletes or changes by itself are written to the binlog only where the server enforces foreign
 * keys above the storage engine (9.6 and newer, unless innodb_native_foreign_keys turns that off).
 */
async function checkCascades(metadata: Metadata, tables: readonly TableId[]): Promise<Finding[]> {
  if (tables.length === 0) return [];
  const [version] = await metadata.rows('SELECT VERSION() AS version');
  const [major = 0, minor = 0] = String(version?.['version'])
    .split('.')
    .map((part) => Number.parseInt(part, 10));
  const native = (await metadata.variables(['innodb_native_foreign_keys'])).get('innodb_native_foreign_keys');
  if ((major > 9 || (major === 9 && minor >= 6)) && native !== undefined && !on(native)) return [];
  const rows = await metadata.rows(
    `SELECT CONSTRAINT_SCHEMA AS db, TABLE_NAME AS name, CONSTRAINT_NAME AS fk FROM information_schema.REFERENTIAL_CONSTRAINTS
      WHERE (DELETE_RULE IN ('CASCADE', 'SET NULL') OR UPDATE_RULE IN ('CASCADE', 'SET NULL')) AND (CONSTRAINT_SCHEMA, TABLE_NAME) IN (${tables.map(() => '(?, ?)').join(', ')})`,
    tables.flatMap(({ database, table }) => [database, table]),
  );
  return rows.map((row) => {
    const name = tableName({ database: String(row['db']), table: String(row['name']) });
    return finding(
      'error',
      'SOURCE_SETTING',
      `foreign key ${String(row['fk'])} of ${name} changes rows by CASCADE or SET NULL, and this server does not write those to its binlog`,
      `drop the rule, or let the application make these changes`,
      `source: ${name}`,
    );
  });
}
