/**
 * Row images between JSON text and values, by the table's shape: the plain path. Sources with a compiled decoder write
 * the same text from bytes; tests hold both together.
 */
import type { ColumnSchema, Row, TableSchema, Value } from './change.ts';

/** Checks and converts a parsed image; undefined when columns are missing, unknown or of another kind. */
export type RowReader = (image: Record<string, unknown>) => Row | undefined;

const readers = new WeakMap<TableSchema, RowReader>();

export function rowReader(schema: TableSchema): RowReader {
  let reader = readers.get(schema);
  if (!reader) {
    reader = compile(schema);
    readers.set(schema, reader);
  }
  return reader;
}

function compile(schema: TableSchema): RowReader {
  const columns = schema.columns.map((column) => ({ name: column.name, read: cellReader(column) }));
  return (image) => {
    if (Object.keys(image).length !== columns.length) return undefined;
    const row: Record<string, Value> = {};
    for (const { name, read } of columns) {
      if (!Object.hasOwn(image, name)) return undefined;
      const cell = image[name];
      const value = cell === null ? null : read(cell);
      if (value === undefined) return undefined;
      if (name === '__proto__') Object.defineProperty(row, name, { value, enumerable: true, configurable: true, writable: true });
      else row[name] = value;
    }
    return row;
  };
}

type CellReader = (cell: unknown) => Value | undefined;

function cellReader(column: ColumnSchema): CellReader {
  switch (column.kind) {
    case 'integer':
    case 'year':
      return (cell) => (typeof cell === 'bigint' || Number.isSafeInteger(cell) ? (cell as Value) : undefined);
    case 'float':
    case 'double':
      return (cell) => (typeof cell === 'number' ? cell : typeof cell === 'bigint' ? Number(cell) : undefined);
    case 'boolean':
      return (cell) => (typeof cell === 'boolean' ? cell : undefined);
    case 'bytes':
    case 'bit':
    case 'geometry':
    case 'vector':
      return (cell) => (typeof cell === 'string' ? bytesOf(cell) : undefined);
    default:
      return (cell) => (typeof cell === 'string' ? cell : undefined);
  }
}

/** Node reads base64 leniently, skipping what it does not know: text that gives fewer bytes than it must is refused. */
function bytesOf(text: string): Uint8Array | undefined {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const bytes = Buffer.from(text, 'base64');
  return text.length % 4 === 0 && bytes.length === (text.length / 4) * 3 - padding ? bytes : undefined;
}

/** One cell as the log spells it. */
export function cellJson(value: Value): string {
  if (value === null) return 'null';
  switch (typeof value) {
    case 'bigint':
      return value.toString();
    case 'number':
      return Object.is(value, -0) ? '-0' : String(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'string':
      return JSON.stringify(value);
    default:
      return `"${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')}"`;
  }
}

/** A row as the log spells it: the named columns in the order given. */
export function rowJson(columns: readonly string[], row: Row): string {
  return `{${columns.map((name) => `${JSON.stringify(name)}:${cellJson(row[name] ?? null)}`).join(',')}}`;
}
