/** Everything that is known about the shape of one table: its schema, and the code that reads its rows. */
import { tableName, type TableId, type TableSchema } from '../../../src/core/change.ts';
import { CrossfadeError } from '../../../src/core/errors.ts';
import { charset, type Collations } from '../charsets/charsets.ts';
import { columnSchema, tableSchema, unsupported, type BinlogColumn } from './columns.ts';
import { compileImage, type ImageDecoder } from './compile-image.ts';
import { compileKey, type KeyWriter } from './compile-key.ts';
import { compileSkipper, type ImageSkipper } from './compile-skip.ts';
import { keyless, setting } from '../errors.ts';
import { hasUnknownSize, isAmbiguous, settled } from './mariadb-columns.ts';
import { parseTableMap, type TableMap } from './table-map.ts';
import { valueLength } from './value-length.ts';

export interface RowDecoder {
  readonly schema: TableSchema;
  readonly image: ImageDecoder;
  readonly key: KeyWriter;
  /** One image of a row may have this many bytes as JSON text. */
  readonly maxRowBytes: number;
}

/** What the configuration and the server say about the tables that are captured. */
export interface Tables {
  readonly mapped: ReadonlySet<string>;
  /** Key columns for tables without a primary key, by `db.table`. */
  readonly keys: ReadonlyMap<string, readonly string[]>;
  readonly collations: Collations;
  readonly maxRowBytes: number;
  /** Captured tables as the server describes them now, by `db.table`: for what happens to a table before its first rows come. */
  readonly described?: ReadonlyMap<string, TableSchema>;
  /** MariaDB only: columns as the server describes them now, by `db.table` and name. */
  readonly columnsNow?: ReadonlyMap<string, ReadonlyMap<string, BinlogColumn>> | undefined;
}

export class TableShape {
  /** `db.table` in the configuration's spelling. */
  readonly name: string;
  readonly id: TableId;
  readonly mapped: boolean;
  readonly columns: readonly BinlogColumn[];
  /** It has columns whose type only the server's description of the table tells, and they are not in ours. */
  readonly isUndescribed: boolean;
  /** How long its rows are nobody knows: the old temporal formats of a table of MariaDB that is not captured, so not described. */
  readonly isUncountable: boolean;
  readonly #map: TableMap;
  readonly #tables: Tables;
  readonly #skippers = new Map<string, ImageSkipper>();
  #decoder: RowDecoder | undefined;

  constructor(map: TableMap, tables: Tables) {
    this.id = { database: map.database, table: map.table };
    this.name = tableName(this.id);
    this.mapped = tables.mapped.has(this.name);
    const { columnsNow } = tables;
    const now = columnsNow?.get(this.name);
    this.columns = columnsNow && this.mapped ? map.columns.map((column) => settled(column, now?.get(column.name))) : map.columns;
    this.isUncountable = columnsNow !== undefined && !this.mapped && map.columns.some(hasUnknownSize);
    this.isUndescribed = now !== undefined && map.columns.some((column) => isAmbiguous(column) && !now.has(column.name));
    this.#map = map;
    this.#tables = tables;
  }

  /** Compiled when the first row of a captured table comes; throws what makes its rows unreadable. */
  get decoder(): RowDecoder {
    this.#decoder ??= this.#compile();
    return this.#decoder;
  }

  #compile(): RowDecoder {
    if (!this.#map.complete) {
      throw setting(
        `the binlog says nothing about the columns of ${this.name}: binlog_row_metadata is not FULL`,
        'SET PERSIST binlog_row_metadata = FULL; (on MariaDB SET GLOBAL, and the line in its my.cnf)',
      );
    }
    if (this.#map.misfit !== undefined) throw unsupportedType(this.name, undefined, this.#map.misfit);
    for (const column of this.columns) {
      const why = unsupported(column, (name) => charset(name) !== undefined);
      if (why !== undefined) throw unsupportedType(this.name, column.name, why);
      if (valueLength(column) === undefined) throw unsupportedType(this.name, column.name, 'its length is not known');
    }
    const schema = schemaOf(this.id, this.columns, this.#map.primaryKey, this.#tables);
    if (!schema) throw keyless(this.id);
    const key = schema.key.map((name) => this.columns.findIndex((column) => column.name === name));
    return { schema, image: compileImage(this.columns, key), key: compileKey(schema.key), maxRowBytes: this.#tables.maxRowBytes };
  }

  /** `present` is the bitmap of the columns that the images hold. */
  skipper(present: Buffer): ImageSkipper {
    const bits = present.toString('latin1');
    let skipper = this.#skippers.get(bits);
    if (!skipper) {
      skipper = compileSkipper(this.columns.filter((_, index) => (((present[index >> 3] as number) >> (index & 7)) & 1) === 1));
      if (!skipper) throw unsupportedType(this.name, undefined, 'a column has a type that this release does not know');
      this.#skippers.set(bits, skipper);
    }
    return skipper;
  }
}

/** undefined: nothing identifies a row. A configured or found key counts only where there is no primary key. */
export function schemaOf(
  id: TableId,
  columns: readonly BinlogColumn[],
  primaryKey: readonly number[],
  tables: Tables,
): TableSchema | undefined {
  const visible = columns.filter(({ hidden }) => !hidden);
  const key = primaryKey.length > 0 ? primaryKey.map((index) => columns[index]?.name ?? '') : (tables.keys.get(tableName(id)) ?? []);
  if (key.length === 0 || key.some((name) => !visible.some((column) => column.name === name))) return undefined;
  const { maxBytesOf } = tables.collations;
  return tableSchema(
    id,
    visible.map((column) => columnSchema(column, maxBytesOf.get(column.charset) ?? 1)),
    key,
  );
}

function unsupportedType(table: string, column: string | undefined, why: string): CrossfadeError {
  return new CrossfadeError({
    code: 'SOURCE_TYPE_UNSUPPORTED',
    fault: 'fatal',
    message: `table ${table}${column === undefined ? '' : `, column ${column}`}: ${why}`,
    remedy: `Take ${table} out of the configuration, or change the column's type; then start again.`,
  });
}

interface Known {
  readonly bytes: Buffer;
  readonly shape: TableShape;
}

const mostIds = 20_000;

/** Shapes by table id, and by definition: a table that is opened again gets another id but keeps its compiled code. */
export class Shapes {
  readonly #tables: Tables;
  readonly #byId = new Map<number, Known>();
  readonly #byDefinition = new Map<string, TableShape>();
  /** Of captured tables, by `db.table`. */
  readonly #latest = new Map<string, TableShape>();

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  /** `from`: where the event's body begins. */
  learn(b: Buffer, from: number, end: number): TableShape {
    const id = tableId(b, from);
    const known = this.#byId.get(id);
    if (known && known.bytes.compare(b, from + 8, end) === 0) return known.shape;
    const bytes = Buffer.from(b.subarray(from + 8, end));
    const definition = bytes.toString('latin1');
    let shape = this.#byDefinition.get(definition);
    if (!shape) {
      shape = new TableShape(parseTableMap(bytes, 0, bytes.length, this.#tables.collations), this.#tables);
      if (this.#byDefinition.size >= mostIds) this.#byDefinition.clear();
      this.#byDefinition.set(definition, shape);
    }
    if (shape.mapped) this.#latest.set(shape.name, shape);
    if (this.#byId.size >= mostIds) this.#byId.clear();
    this.#byId.set(id, { bytes, shape });
    return shape;
  }

  /** The shape that a captured table had when rows of it came last. */
  latest(name: string): TableShape | undefined {
    return this.#latest.get(name);
  }

  get(id: number): TableShape | undefined {
    return this.#byId.get(id)?.shape;
  }
}

export const tableId = (b: Buffer, at: number): number => b.readUInt32LE(at) + b.readUInt16LE(at + 4) * 4294967296;
