/** Everything that is known about the shape of one table: its schema, and the code that reads its rows. */
import { tableName, type TableId, type TableSchema } from '../../src/core/change.ts';
import { CrossfadeError } from '../../src/core/errors.ts';
import { charset, type Collations } from './charsets.ts';
import { columnSchema, tableSchema, unsupported, type BinlogColumn } from './columns.ts';
import { compileImage, compileKey, compileSkipper, type ImageDecoder, type ImageSkipper, type KeyWriter } from './compile.ts';
import { keyless, setting } from './errors.ts';
import { parseTableMap, type TableMap } from './table-map.ts';

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
}

export class TableShape {
  /** `db.table` in the configuration's spelling. */
  readonly name: string;
  readonly id: TableId;
  readonly mapped: boolean;
  readonly columns: readonly BinlogColumn[];
  readonly #map: TableMap;
  readonly #tables: Tables;
  readonly #skippers = new Map<string, ImageSkipper>();
  #decoder: RowDecoder | undefined;

  constructor(map: TableMap, tables: Tables) {
    this.id = { database: map.database, table: map.table };
    this.name = tableName(this.id);
    this.mapped = tables.mapped.has(this.name);
    this.columns = map.columns;
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
        'SET PERSIST binlog_row_metadata = FULL;',
      );
    }
    for (const column of this.columns) {
      const why = unsupported(column, (name) => charset(name) !== undefined);
      if (why !== undefined) throw unsupportedType(this.name, column.name, why);
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
  const key = primaryKey.length > 0 ? primaryKey.map((index) => columns[index]?.name ?? '') : (tables.keys.get(tableName(id)) ?? []);
  if (key.length === 0 || key.some((name) => !columns.some((column) => column.name === name))) return undefined;
  const { maxBytesOf } = tables.collations;
  return tableSchema(
    id,
    columns.map((column) => columnSchema(column, maxBytesOf.get(column.charset) ?? 1)),
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

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  /** `from`: where the event's body begins. */
  learn(b: Buffer, from: number, end: number): void {
    const id = tableId(b, from);
    const known = this.#byId.get(id);
    if (known && known.bytes.compare(b, from + 8, end) === 0) return;
    const bytes = Buffer.from(b.subarray(from + 8, end));
    const definition = bytes.toString('latin1');
    let shape = this.#byDefinition.get(definition);
    if (!shape) {
      shape = new TableShape(parseTableMap(bytes, 0, bytes.length, this.#tables.collations), this.#tables);
      if (this.#byDefinition.size >= mostIds) this.#byDefinition.clear();
      this.#byDefinition.set(definition, shape);
    }
    if (this.#byId.size >= mostIds) this.#byId.clear();
    this.#byId.set(id, { bytes, shape });
  }

  get(id: number): TableShape | undefined {
    return this.#byId.get(id)?.shape;
  }
}

export const tableId = (b: Buffer, at: number): number => b.readUInt32LE(at) + b.readUInt16LE(at + 4) * 4294967296;
