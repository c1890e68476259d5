/** Tables as the server describes them now: the same shapes, ids included, that the binlog will give. */
import { tableName, type TableId } from '../../../src/core/change.ts';
import { wire, type BinlogColumn } from '../rows/columns.ts';
import type { Metadata, Row } from './metadata.ts';
import { describedColumn, text } from './described-column.ts';
import type { Flavor } from '../position/executed.ts';

export interface TableDescription {
  readonly id: TableId;
  readonly columns: readonly BinlogColumn[];
  /** Column indexes in key order; empty without one. */
  readonly primaryKey: readonly number[];
  /** The columns of the smallest unique key that has no NULL; empty without one. */
  readonly uniqueKey: readonly string[];
  /** Columns in which a row that names no value has another one than NULL. */
  readonly defaults: ReadonlySet<string>;
  readonly engine: string;
  readonly flavor: Flavor;
  /** Of a system-versioned table of MariaDB: the column that tells the versions of a row apart, and is in the key. */
  readonly rowEnd: string | undefined;
}

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
  const { flavor } = await metadata.version();
  const found = await metadata.rows(
    `SELECT TABLE_SCHEMA AS db, TABLE_NAME AS name, ENGINE AS engine, TABLE_TYPE AS kind
       FROM information_schema.TABLES WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND (TABLE_SCHEMA, TABLE_NAME) IN ${sql}`,
    values,
  );
  const columns = await metadata.rows(
    `SELECT TABLE_SCHEMA AS db, TABLE_NAME AS name, COLUMN_NAME AS col, DATA_TYPE AS type, COLUMN_TYPE AS full, IS_NULLABLE AS nullable,
            CHARACTER_OCTET_LENGTH AS bytes, CHARACTER_SET_NAME AS charset, NUMERIC_PRECISION AS digits, NUMERIC_SCALE AS scale, DATETIME_PRECISION AS fraction, GENERATION_EXPRESSION AS generation, COLUMN_DEFAULT AS preset
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
    if (!table) return [];
    const own = of(columns, id);
    const named = own.find((row) => text(row, 'generation') === 'ROW END');
    const isVersioned = text(table, 'kind') === 'SYSTEM VERSIONED';
    const versions = isVersioned && !named;
    const all = [...own.map((row) => describedColumn(row, flavor)), ...(versions ? hiddenVersions : [])];
    const rowEnd = isVersioned ? (named ? text(named, 'col') : 'row_end') : undefined;
    const about = { engine: text(table, 'engine'), flavor, defaults: defaultsOf(own, flavor), rowEnd };
    return [describe(id, about, all, of(keys, id), versions)];
  });
}

/** MariaDB spells out the NULL of a column that has no other default. */
function defaultsOf(columns: readonly Row[], flavor: Flavor): ReadonlySet<string> {
  const presets = columns.filter((row) => {
    const preset = row['preset'];
    const isNull = preset === null || preset === undefined || (flavor === 'mariadb' && text(row, 'preset') === 'NULL');
    return !isNull || text(row, 'generation') !== '';
  });
  return new Set(names(presets));
}

/**
 * A system-versioned table of MariaDB keeps every former version of a row as a row of its own, and the binlog has them all,
 * with these columns and the second of them in the key. They are carried as they are; the server describes them only where
 * the table's definition names them.
 */
const hiddenVersions = ['row_start', 'row_end'].map((name): BinlogColumn => {
  return { name, type: wire.timestamp, size: 6, scale: 0, unsigned: false, nullable: false, charset: '', labels: [] };
});

function describe(
  id: TableId,
  about: Pick<TableDescription, 'engine' | 'flavor' | 'defaults' | 'rowEnd'>,
  columns: readonly BinlogColumn[],
  keys: readonly Row[],
  versions: boolean,
): TableDescription {
  const byIndex = Map.groupBy(keys, (row) => text(row, 'idx'));
  const indexOf = (name: string) => columns.findIndex((column) => column.name === name);
  const key = (rows: readonly Row[]) => [...names(rows), ...(versions && rows.length > 0 ? ['row_end'] : [])];
  const primaryKey = key(byIndex.get('PRIMARY') ?? []).map(indexOf);
  const unique = [...byIndex.values()].filter((rows) => rows.every((row) => row['col'] !== null && text(row, 'nullable') === ''));
  const uniqueKey = key(unique.sort((a, b) => a.length - b.length)[0] ?? []);
  return { id, columns, primaryKey, uniqueKey, ...about };
}

/** Key columns for the tables that have no primary key: the configuration's, else a unique key's. */
export function keysOf(
  tables: readonly TableDescription[],
  configured: ReadonlyMap<string, readonly string[]>,
): ReadonlyMap<string, readonly string[]> {
  const found = tables.filter((table) => table.uniqueKey.length > 0).map((table) => [tableName(table.id), table.uniqueKey] as const);
  return new Map([...found, ...configured]);
}

/**
 * The columns of MariaDB's tables as they are now: some types look alike in its binlog (see mariadb-columns.ts). undefined for
 * MySQL, whose binlog says all.
 */
export function columnsNow(tables: readonly TableDescription[]): ReadonlyMap<string, ReadonlyMap<string, BinlogColumn>> | undefined {
  if (!tables.some(({ flavor }) => flavor === 'mariadb')) return undefined;
  return new Map(tables.map(({ id, columns }) => [tableName(id), new Map(columns.map((column) => [column.name, column]))]));
}

/** Engines that keep rows when a transaction rolls back. */
export function untransactional(tables: readonly Pick<TableDescription, 'id' | 'engine'>[]): ReadonlySet<string> {
  return new Set(tables.filter(({ engine }) => !/^(InnoDB|ndbcluster|ROCKSDB|TokuDB)$/i.test(engine)).map(({ id }) => tableName(id)));
}
