/**
 * Row images between JSON text and values, by the table's shape: the plain path. Sources with a compiled decoder write
 * the same text from bytes; tests hold both together.
 */
import type { ColumnKind, Geometry, Row, TableSchema, Value } from './change.ts';

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
  const columns = schema.columns.map((column) => ({ name: column.name, read: cellReaders[column.kind] }));
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

const integerOf: CellReader = (cell) => (typeof cell === 'bigint' || Number.isSafeInteger(cell) ? (cell as Value) : undefined);
const textOf: CellReader = (cell) => (typeof cell === 'string' ? cell : undefined);
const binaryOf: CellReader = (cell) => (typeof cell === 'string' ? bytesOf(cell) : undefined);

const cellReaders: Readonly<Record<ColumnKind, CellReader>> = {
  integer: integerOf,
  decimal: textOf,
  float: numberOf,
  double: numberOf,
  boolean: (cell) => (typeof cell === 'boolean' ? cell : undefined),
  bit: binaryOf,
  string: textOf,
  bytes: binaryOf,
  date: textOf,
  time: textOf,
  datetime: textOf,
  timestamp: textOf,
  year: integerOf,
  enum: textOf,
  set: textOf,
  json: textOf,
  geometry: geometryOf,
  vector: vectorOf,
  uuid: textOf,
  inet4: textOf,
  inet6: textOf,
};

/** Node reads base64 leniently: it skips what it does not know, so that fewer bytes come than must, and takes two other digits. */
function bytesOf(text: string): Uint8Array | undefined {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const bytes = Buffer.from(text, 'base64');
  const whole = text.length % 4 === 0 && bytes.length === (text.length / 4) * 3 - padding;
  return whole && !text.includes('-') && !text.includes('_') ? bytes : undefined;
}

function geometryOf(cell: unknown): Geometry | undefined {
  if (typeof cell !== 'object' || cell === null || Object.keys(cell).length !== 2) return undefined;
  const { wkb, srid } = cell as { readonly wkb?: unknown; readonly srid?: unknown };
  const bytes = typeof wkb === 'string' ? bytesOf(wkb) : undefined;
  if (bytes === undefined || !(srid === null || (Number.isSafeInteger(srid) && (srid as number) >= 0))) return undefined;
  return { wkb: bytes, srid: srid as number | null };
}

/** JSON has digits for what is beyond a double; it would become infinite. */
function numberOf(cell: unknown): number | undefined {
  const number = typeof cell === 'bigint' ? Number(cell) : cell;
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined;
}

/** A whole number beyond 2^53 was parsed as a bigint; every float32 is a double too, so nothing is rounded here. */
function vectorOf(cell: unknown): readonly number[] | undefined {
  if (!Array.isArray(cell)) return undefined;
  const numbers: number[] = [];
  for (const item of cell as readonly unknown[]) {
    const number = numberOf(item);
    if (number === undefined) return undefined;
    numbers.push(number);
  }
  return numbers;
}

/** One cell as the log spells it: binary as base64, a geometry as `{"wkb":"<base64>","srid":4326}`, a vector as an array. */
export function cellJson(value: Value): string {
  if (value === null) return 'null';
  switch (typeof value) {
    case 'bigint':
      return value.toString();
    case 'number':
      return numberJson(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'string':
      return JSON.stringify(value);
    default:
      if (value instanceof Uint8Array) return bytesJson(value);
      return 'wkb' in value ? `{"wkb":${bytesJson(value.wkb)},"srid":${value.srid}}` : `[${value.map(numberJson).join(',')}]`;
  }
}
const numberJson = (value: number) => (Object.is(value, -0) ? '-0' : String(value));
const bytesJson = (bytes: Uint8Array) => `"${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')}"`;

/** A row as the log spells it: the named columns in the order given. */
export function rowJson(columns: readonly string[], row: Row): string {
  return `{${columns.map((name) => `${JSON.stringify(name)}:${cellJson(row[name] ?? null)}`).join(',')}}`;
}
