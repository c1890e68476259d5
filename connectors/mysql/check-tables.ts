/** Whether each captured table can be carried: there, with a key, of types that we know, changed only by what is in the binlog. */
import { tableName, type TableId } from '../../src/core/change.ts';
import type { Finding } from '../../src/core/ports.ts';
import { charset } from './charsets.ts';
import { unsupported } from './columns.ts';
import type { Metadata } from './connect.ts';
import { finding } from './finding.ts';
import { keysOf, type TableDescription } from './information-schema.ts';

export function checkTable(
  table: TableId,
  described: readonly TableDescription[],
  keys: ReadonlyMap<string, readonly string[]>,
): Finding[] {
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

/**
 * Rows that a foreign key deletes or changes by itself are written to the binlog only where the server enforces foreign
 * keys above the storage engine (9.6 and newer, unless innodb_native_foreign_keys turns that off).
 */
export async function checkCascades(metadata: Metadata, tables: readonly TableId[]): Promise<Finding[]> {
  if (tables.length === 0) return [];
  const [version] = await metadata.rows('SELECT VERSION() AS version');
  const [major = 0, minor = 0] = String(version?.['version'])
    .split('.')
    .map((part) => Number.parseInt(part, 10));
  const native = (await metadata.variables(['innodb_native_foreign_keys'])).get('innodb_native_foreign_keys');
  if ((major > 9 || (major === 9 && minor >= 6)) && native !== undefined && !/^(ON|1)$/.test(native)) return [];
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
