/** TABLE_MAP: a table's shape when the rows behind it were written. With FULL metadata it says everything. */
import { charset, decodeText, type Collations } from '../charsets/charsets.ts';
import { isChoice, isString, wire, type BinlogColumn } from './columns.ts';
import { corruptEvent } from '../errors.ts';

export interface TableMap {
  readonly database: string;
  readonly table: string;
  readonly columns: readonly BinlogColumn[];
  /** Column indexes in key order; empty without a primary key. */
  readonly primaryKey: readonly number[];
  /** False when the server wrote no column names: binlog_row_metadata is not FULL. */
  readonly complete: boolean;
}

interface Cursor {
  at: number;
  readonly b: Buffer;
  readonly end: number;
}

function bytes(c: Cursor, size: number): Buffer {
  if (size < 0 || c.at + size > c.end) throw corruptEvent('a TABLE_MAP is cut');
  c.at += size;
  return c.b.subarray(c.at - size, c.at);
}
const byte = (c: Cursor) => bytes(c, 1)[0] as number;

function packedInteger(c: Cursor): number {
  const first = byte(c);
  if (first < 251) return first;
  if (first === 252) return bytes(c, 2).readUInt16LE(0);
  if (first === 253) return bytes(c, 3).readUIntLE(0, 3);
  throw corruptEvent('a TABLE_MAP holds a number that is too large');
}

interface RawColumn {
  type: number;
  size: number;
  scale: number;
}

/** `b` from `from`: behind the table id and flags. */
export function parseTableMap(b: Buffer, from: number, end: number, collations: Collations): TableMap {
  const c: Cursor = { at: from, b, end };
  const database = bytes(c, byte(c)).toString('utf8');
  byte(c);
  const table = bytes(c, byte(c)).toString('utf8');
  byte(c);
  const count = packedInteger(c);
  const types = bytes(c, count);
  const metadata = bytes(c, packedInteger(c));
  const meta: Cursor = { at: 0, b: metadata, end: metadata.length };
  const raw = Array.from(types, (type) => rawColumn(type, meta));
  const nulls = bytes(c, (count + 7) >> 3);
  const more = optionalMetadata(c, raw);
  const columns = raw.map((column, index): BinlogColumn => {
    const isText = isString(column.type) || isChoice(column.type);
    const set = isText ? (collations.charsetOf.get(more.collations[index] ?? -1) ?? '') : '';
    return {
      ...column,
      name: more.names[index] ?? '',
      unsigned: more.unsigned[index] ?? false,
      nullable: (((nulls[index >> 3] as number) >> (index & 7)) & 1) === 1,
      charset: set,
      scale: column.type === wire.geometry || column.type === wire.vector ? (more.subtypes[index] ?? 0) : column.scale,
      labels: labelTexts(more.labels[index] ?? [], set),
    };
  });
  if (new Set(more.names).size !== more.names.length) throw corruptEvent('a TABLE_MAP gives two columns one name');
  if (new Set(more.primaryKey).size !== more.primaryKey.length) throw corruptEvent('a TABLE_MAP has a column twice in the key');
  return { database, table, columns, primaryKey: more.primaryKey, complete: more.names.length === count };
}

/** Labels of the binary character set are bytes; those that are UTF-8 are carried as that text. Empty where one is no text. */
function labelTexts(labels: readonly Buffer[], set: string): string[] {
  const known = charset(set === 'binary' ? 'utf8mb4' : set);
  try {
    return known ? labels.map((label) => decodeText(known, label)) : [];
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) return [];
    throw error;
  }
}

function rawColumn(type: number, meta: Cursor): RawColumn {
  switch (type) {
    case wire.float:
    case wire.double:
    case wire.blob:
    case wire.compressedBlob:
    case wire.tinyBlob:
    case wire.mediumBlob:
    case wire.longBlob:
    case wire.json:
    case wire.geometry:
    case wire.vector:
    case wire.timestamp:
    case wire.datetime:
    case wire.time:
      return { type, size: byte(meta), scale: 0 };
    case wire.decimal:
      return { type, size: byte(meta), scale: byte(meta) };
    case wire.varchar:
    case wire.varString:
      return { type: wire.varchar, size: bytes(meta, 2).readUInt16LE(0), scale: 0 };
    case wire.compressedVarchar:
      return { type, size: bytes(meta, 2).readUInt16LE(0), scale: 0 };
    case wire.bit: {
      const odd = byte(meta);
      return { type, size: byte(meta) * 8 + odd, scale: 0 };
    }
    case wire.enum:
    case wire.set:
    case wire.string:
      return stringColumn(byte(meta), byte(meta));
    default:
      return { type, size: 0, scale: 0 };
  }
}

/** The two bytes of STRING: its real type, and a length whose ninth and tenth bit hide inverted in the type. */
function stringColumn(first: number, second: number): RawColumn {
  if ((first & 0x30) !== 0x30) return { type: first | 0x30, size: second | (((first & 0x30) ^ 0x30) << 4), scale: 0 };
  return { type: first, size: second, scale: 0 };
}

const numeric = new Set<number>([
  wire.tiny,
  wire.short,
  wire.int24,
  wire.long,
  wire.longlong,
  wire.decimal,
  wire.float,
  wire.double,
  wire.year,
]);

interface OptionalMetadata {
  readonly names: string[];
  readonly unsigned: boolean[];
  readonly collations: number[];
  readonly labels: Buffer[][];
  /** Of spatial columns, and how many elements a vector has at most. */
  readonly subtypes: number[];
  primaryKey: number[];
}

/** Type, length, value; each list covers only the columns of its own class, in table order. Unknown types are hints: passed over. */
function optionalMetadata(c: Cursor, columns: readonly RawColumn[]): OptionalMetadata {
  const where = (test: (type: number) => boolean) => columns.flatMap(({ type }, index) => (test(type) ? [index] : []));
  // To MySQL a vector is a blob of its own, and so has a collation, which says nothing.
  const characters = where((type) => isString(type) || type === wire.vector);
  const choices = where(isChoice);
  const answer: OptionalMetadata = { names: [], unsigned: [], collations: [], labels: [], subtypes: [], primaryKey: [] };
  while (c.at < c.end) {
    const type = byte(c);
    const value = bytes(c, packedInteger(c));
    const field: Cursor = { at: 0, b: value, end: value.length };
    switch (type) {
      case 1:
        where((type) => numeric.has(type)).forEach((column, index) => {
          answer.unsigned[column] = (((value[index >> 3] as number) << (index & 7)) & 0x80) !== 0;
        });
        break;
      case 2:
      case 10:
        defaultCollation(field, type === 2 ? characters : choices, answer.collations);
        break;
      case 3:
      case 11:
        for (const column of type === 3 ? characters : choices) answer.collations[column] = packedInteger(field);
        break;
      case 4:
        while (field.at < field.end) answer.names.push(bytes(field, packedInteger(field)).toString('utf8'));
        break;
      case 5:
      case 6:
        labelLists(
          field,
          where((of) => of === (type === 5 ? wire.set : wire.enum)),
          answer.labels,
        );
        break;
      case 7:
      case 13:
        for (const column of where((of) => of === (type === 7 ? wire.geometry : wire.vector)))
          answer.subtypes[column] = packedInteger(field);
        break;
      case 8:
      case 9:
        while (field.at < field.end) {
          answer.primaryKey.push(packedInteger(field));
          if (type === 9) packedInteger(field);
        }
        break;
    }
  }
  return answer;
}

function defaultCollation(field: Cursor, columns: readonly number[], collations: number[]): void {
  const usual = packedInteger(field);
  for (const column of columns) collations[column] = usual;
  while (field.at < field.end) {
    const column = columns[packedInteger(field)];
    const collation = packedInteger(field);
    if (column !== undefined) collations[column] = collation;
  }
}

function labelLists(field: Cursor, columns: readonly number[], labels: Buffer[][]): void {
  for (const column of columns) {
    labels[column] = Array.from({ length: packedInteger(field) }, () => Buffer.from(bytes(field, packedInteger(field))));
  }
}
