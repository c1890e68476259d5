/** Tables as the server describes them now: the same shapes, ids included, that the binlog will give. */
import { tableName, type TableId } from '../../src/core/change.ts';
import { wire, type BinlogColumn } from './columns.ts';
import type { Metadata, Row } from './connect.ts';

export interface TableDescription {
  readonly id: TableId;
  readonly columns: readonly BinlogColumn[];
  /** Column indexes in key order; empty without one. */
  readonly primaryKey: readonly number[];
  /** The columns of the smallest unique key that has no NULL; empty without one. */
  readonly uniqueKey: readonly string[];
  readonly engine: string;
}

const text = (row: Row, name: string): string => (row[name] === null || row[name] === undefined ? '' : String(row[name]));
const number = (row: Row, name: string): number => Number(row[name] ?? 0);

const inList = (tables: readonly TableId[]) => ({
  sql: `(${tables.map(() => '(?, ?)').join(', ')})`,
  values: tables.flatMap(({ database, table }) => [database, table]),
});

const of = (rows: readonly Row[], id: TableId) => rows.filter((row) => row['db'] === id.database && row['name'] === id.table);
const names = (rows: readonly Row[]) => rows.map((row) => text(row, 'col'));

/** In the order asked; a table that is not there, or is a view, is absent. */
export async function describeTables(metadata: Metadata, tables: readonly TableId[]): Promise<readonly TableDescription[]> {
  if (tables.length === 0) return [];
  const { sql, values } = inList(tables);
  const found = await metadata.rows(
    `SELECT TABLE_SCHEMA AS db, TABLE_NAME AS name, ENGINE AS engine FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND (TABLE_SCHEMA, TABLE_NAME) IN ${sql}`,
    values,
  );
  const columns = await metadata.rows(
    `SELECT TABLE_SCHEMA AS db, TABLE_NAME AS name, COLUMN_NAME AS col, DATA_TYPE AS type, COLUMN_TYPE AS full, IS_NULLABLE AS nullable,
            CHARACTER_OCTET_LENGTH AS bytes, CHARACTER_SET_NAME AS charset, NUMERIC_PRECISION AS digits, NUMERIC_SCALE AS scale, DATETIME_PRECISION AS fraction
       FROM information_schema.COLUMNS WHERE (TABLE_SCHEMA, TABLE_NAME) IN ${sql} ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION`,
    values,
  );
  const keys = await metadata.rows(
    `SELECT TABLE_SCHEMA AS db, TABLE_NAME AS name, INDEX_NAME AS idx, COLUMN_NAME AS col, NULLABLE AS nullable
       FROM information_schema.STATISTICS WHERE NON_UNIQUE = 0 AND (TABLE_SCHEMA, TABLE_NAME) IN ${sql} ORDER BY INDEX_NAME, SEQ_IN_INDEX`,
    values,
  );
  return tables.flatMap((id) => {
    const [table] = of(found, id);
    return table ? [describe(id, text(table, 'engine'), of(columns, id).map(column), of(keys, id))] : [];
  });
}

function describe(id: TableId, engine: string, columns: readonly BinlogColumn[], keys: readonly Row[]): TableDescription {
  const byIndex = Map.groupBy(keys, (row) => text(row, 'idx'));
  const primaryKey = names(byIndex.get('PRIMARY') ?? []).map((name) => columns.findIndex((column) => column.name === name));
  const unique = [...byIndex.values()].filter((rows) => rows.every((row) => row['col'] !== null && text(row, 'nullable') === ''));
  const uniqueKey = names(unique.sort((a, b) => a.length - b.length)[0] ?? []);
  return { id, columns, primaryKey, uniqueKey, engine };
}

const plainTypes: Readonly<Record<string, number>> = {
  tinyint: wire.tiny,
  smallint: wire.short,
  mediumint: wire.int24,
  int: wire.long,
  bigint: wire.longlong,
  float: wire.float,
  double: wire.double,
  decimal: wire.decimal,
  date: wire.date,
  time: wire.time,
  datetime: wire.datetime,
  timestamp: wire.timestamp,
  year: wire.year,
  bit: wire.bit,
  char: wire.string,
  binary: wire.string,
  varchar: wire.varchar,
  varbinary: wire.varchar,
  enum: wire.enum,
  set: wire.set,
  json: wire.json,
  vector: wire.vector,
};
const lobSizes = ['tiny', '', 'medium', 'long'];

function column(row: Row): BinlogColumn {
  const type = text(row, 'type');
  const full = text(row, 'full');
  const lob = /^(tiny|medium|long)?(text|blob)$/.exec(type);
  const binary = lob ? lob[2] === 'blob' : type === 'binary' || type === 'varbinary';
  const choice = type === 'enum' || type === 'set';
  return {
    name: text(row, 'col'),
    // What is not in the list is one of the spatial types.
    type: lob ? wire.blob : (plainTypes[type] ?? wire.geometry),
    size: lob ? lobSizes.indexOf(lob[1] ?? '') + 1 : sizeOf(type, row),
    scale: type === 'decimal' ? number(row, 'scale') : 0,
    unsigned: / unsigned\b/.test(full),
    nullable: text(row, 'nullable') === 'YES',
    charset: binary ? 'binary' : type === 'json' ? '' : text(row, 'charset'),
    labels: choice ? labelsOf(full) : [],
  };
}

function sizeOf(type: string, row: Row): number {
  switch (type) {
    case 'decimal':
    case 'bit':
      return number(row, 'digits');
    case 'time':
    case 'datetime':
    case 'timestamp':
      return number(row, 'fraction');
    default:
      return number(row, 'bytes');
  }
}

/** `enum('a','it''s','back\\slash')`: quotes doubled, and the five escapes of SHOW CREATE TABLE. */
function labelsOf(full: string): string[] {
  const labels = full.match(/'(?:[^'\\]|''|\\[^])*'/g) ?? [];
  return labels.map((label) =>
    label.slice(1, -1).replace(/''|\\([^])/g, (_, escaped?: string) => (escaped === undefined ? "'" : (escapes[escaped] ?? escaped))),
  );
}
const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', '0': '\0' };

/** Key columns for the tables that have no primary key: the configuration's, else a unique key's. */
export function keysOf(
  tables: readonly TableDescription[],
  configured: ReadonlyMap<string, readonly string[]>,
): ReadonlyMap<string, readonly string[]> {
  const found = tables.filter((table) => table.uniqueKey.length > 0).map((table) => [tableName(table.id), table.uniqueKey] as const);
  return new Map([...found, ...configured]);
}

/** Engines that keep rows when a transaction rolls back. */
export function untransactional(tables: readonly TableDescription[]): ReadonlySet<string> {
  return new Set(tables.filter(({ engine }) => !/^(InnoDB|ndbcluster|ROCKSDB|TokuDB)$/i.test(engine)).map(({ id }) => tableName(id)));
}
