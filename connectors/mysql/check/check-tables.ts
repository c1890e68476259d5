/** Whether each captured table can be carried: there, with a key, of types that we know, changed only by what is in the binlog. */
import { tableName, type TableId } from '../../../src/core/change.ts';
import type { Finding } from '../../../src/core/ports.ts';
import { charset } from '../charsets/charsets.ts';
import { unsupported, wire } from '../rows/columns.ts';
import type { Metadata } from '../server/metadata.ts';
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
  return findings;
}

/** MariaDB keeps every former version of a row as a row of its own, and writes it to the binlog as one. */
function checkVersioned({ id, columns, rowEnd }: TableDescription, place: string): Finding[] {
  if (rowEnd === undefined) return [];
  const name = tableName(id);
  // Those that are versioned by transaction are written as statements, whatever binlog_format is.
  const byTransaction = columns.find((column) => column.name === rowEnd)?.type === wire.longlong;
  if (byTransaction) {
    return [
      finding(
        'error',
        'SOURCE_SETTING',
        `${name} is versioned by transaction numbers: the server writes its changes as statements, which are not carried`,
        'version it by time (columns of TIMESTAMP(6) instead of BIGINT), or take it out of the configuration',
        place,
      ),
    ];
  }
  return [
    finding(
      'warning',
      'SOURCE_SETTING',
      `${name} is system-versioned: each UPDATE and DELETE brings the former version as a row of its own, told apart by ${rowEnd} alone`,
      `keep ${rowEnd} in the key of every target; a target that is keyed without it ends with an old version of a row`,
      place,
    ),
  ];
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
  const findings: Finding[] = [...checkEngine(found, place), ...checkVersioned(found, place)];
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
    const described = found.columns.find((each) => each.name === column);
    if (described && !described.nullable) continue;
    const text = described
      ? `column ${column} of ${name}, which the configuration names as key, can be NULL: rows with NULL in their key cannot be told apart`
      : `${name} has no column ${column}, which the configuration names as key`;
    const fix = described
      ? `name columns that are NOT NULL under "source.keys" at ${name}, or make ${column} NOT NULL in the source before the pipeline starts`
      : `correct "source.keys" at ${name}`;
    findings.push(finding('error', 'SOURCE_TABLE_KEYLESS', text, fix, place));
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
