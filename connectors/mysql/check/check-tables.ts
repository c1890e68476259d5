/** Whether each captured table can be carried: there, with a key, of types that we know, changed only by what is in the binlog. */
import { tableName, type TableId } from '../../../src/core/change.ts';
import type { Finding } from '../../../src/core/ports.ts';
import { charset } from '../charsets/charsets.ts';
import { unsupported } from '../rows/columns.ts';
import { isAtLeast, type Metadata } from '../server/metadata.ts';
import { finding, quoted } from './finding.ts';
import { keysOf, untransactional, type TableDescription } from '../server/information-schema.ts';

export async function checkTables(
  metadata: Metadata,
  tables: readonly TableId[],
  described: readonly TableDescription[],
  keys: ReadonlyMap<string, readonly string[]>,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const table of tables) {
    const found = described.find(({ id }) => id.database === table.database && id.table === table.table);
    findings.push(...(found ? checkTable(found, keys) : [await missing(metadata, table)]));
  }
  return [...findings, ...(await checkVersioned(metadata, tables))];
}

/** MariaDB writes the changes of a table that is versioned by transaction as statements, whatever binlog_format is. */
async function checkVersioned(metadata: Metadata, tables: readonly TableId[]): Promise<Finding[]> {
  if (tables.length === 0 || (await metadata.version()).flavor !== 'mariadb') return [];
  const rows = await metadata.rows(
    `SELECT TABLE_SCHEMA AS db, TABLE_NAME AS name FROM information_schema.COLUMNS
      WHERE GENERATION_EXPRESSION = 'ROW START' AND DATA_TYPE = 'bigint' AND (TABLE_SCHEMA, TABLE_NAME) IN (${tables.map(() => '(?, ?)').join(', ')})`,
    tables.flatMap(({ database, table }) => [database, table]),
  );
  return rows.map((row) => {
    const id = { database: String(row['db']), table: String(row['name']) };
    return finding(
      'error',
      'SOURCE_SETTING',
      `${tableName(id)} is versioned by transaction numbers: the server writes its changes as statements, which are not carried`,
      'version it by time (columns of TIMESTAMP(6) instead of BIGINT), or take it out of the configuration',
      `source: ${tableName(id)}`,
    );
  });
}

/** Not a base table: why not. */
async function missing(metadata: Metadata, table: TableId): Promise<Finding> {
  const name = tableName(table);
  const [row] = await metadata.rows('SELECT TABLE_TYPE AS type FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?', [
    table.database,
    table.table,
  ]);
  const place = `source: ${name}`;
  switch (row?.['type']) {
    case undefined:
      return finding(
        'error',
        'SOURCE_TABLE_MISSING',
        `there is no table ${name}, or we may not see it`,
        'correct the name in the configuration (letters as the server spells them)',
        place,
      );
    default:
      return finding(
        'error',
        'SOURCE_TABLE_MISSING',
        `${name} is no table but a ${String(row?.['type']).toLowerCase()}`,
        'take it out of the configuration, or name the table behind it',
        place,
      );
  }
}

function checkTable(found: TableDescription, keys: ReadonlyMap<string, readonly string[]>): Finding[] {
  const name = tableName(found.id);
  const place = `source: ${name}`;
  const findings: Finding[] = [...checkEngine(found, place)];
  const key = found.primaryKey.length > 0 ? [] : (keysOf([found], keys).get(name) ?? []);
  if (found.primaryKey.length === 0 && key.length === 0) {
    findings.push(
      finding(
        'error',
        'SOURCE_TABLE_KEYLESS',
        `${name} has no primary key and no unique key without NULL`,
        // Which columns identify a row only its owner knows; so no statement, which a person would send to the server as it is.
        `give ${name} a primary key, or name the columns that identify a row under "source.keys" in the configuration: { ${name}: [columns] }`,
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
        `correct "source.keys" at ${name}`,
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

/** Of these engines the binlog is not one with the table, and some forget their rows. */
function checkEngine({ id, engine }: TableDescription, place: string): Finding[] {
  if (untransactional([{ id, engine }]).size === 0) return [];
  const text = `${tableName(id)} is kept by ${engine}, which has no transactions: after a crash of the server its rows and the binlog can differ`;
  return [finding('warning', 'SOURCE_SETTING', text, `ALTER TABLE ${quoted(id.database)}.${quoted(id.table)} ENGINE = InnoDB;`, place)];
}

/**
 * Rows that a foreign key deletes or changes by itself are written to the binlog only where the server enforces foreign
 * keys above the storage engine (9.6 and newer, unless innodb_native_foreign_keys turns that off).
 */
export async function checkCascades(metadata: Metadata, tables: readonly TableId[]): Promise<Finding[]> {
  if (tables.length === 0) return [];
  const version = await metadata.version();
  const native = (await metadata.variables(['innodb_native_foreign_keys'])).get('innodb_native_foreign_keys');
  if (version.flavor === 'mysql' && isAtLeast(version, 9, 6) && native !== undefined && !/^(ON|1)$/.test(native)) return [];
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
