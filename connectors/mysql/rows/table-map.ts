/** TABLE_MAP: a table's shape when the rows behind it were written. With FULL metadata it says everything. */
import { charset, decodeText, type Collations } from '../charsets/charsets.ts';
import { isChoice, isString, wire, type BinlogColumn, type WireType } from './columns.ts';
import { byte, bytes, packedInteger, type Cursor } from './cursor.ts';
import { corruptEvent } from '../errors.ts';
import { optionalMetadata } from './optional-metadata.ts';

export interface TableMap {
  readonly database: string;
  readonly table: string;
  readonly columns: readonly BinlogColumn[];
  /** Column indexes in key order; empty without a primary key. */
  readonly primaryKey: readonly number[];
  /** False when the server wrote no column names: binlog_row_metadata is not FULL. */
  readonly complete: boolean;
  /** Why its rows cannot be trusted to be what this says, in words: its lists do not fit its columns. */
  readonly misfit?: string | undefined;
}

type RawColumn = Pick<BinlogColumn, 'type' | 'size' | 'scale'>;

/** The byte of VAR_STRING, which is VARCHAR under another name. */
const varString = 253;
const listed: ReadonlyMap<number, WireType> = new Map([
  ...Object.values(wire).flatMap((type): [number, WireType][] => (type >= 0 && type < 256 ? [[type, type]] : [])),
  [varString, wire.varchar],
]);
/** The one place where a byte becomes a type. */
const typeOf = (byte: number): WireType => listed.get(byte) ?? wire.unknown;

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
  const raw = Array.from(types, (byte) => rawColumn(byte, meta));
  const nulls = bytes(c, (count + 7) >> 3);
  const more = optionalMetadata(c, raw, collations);
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
  return { database, table, columns, primaryKey: more.primaryKey, complete: more.names.length === count, misfit: more.misfit };
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

function rawColumn(typeByte: number, meta: Cursor): RawColumn {
  const type = typeOf(typeByte);
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
      return { type, size: bytes(meta, 2).readUInt16LE(0), scale: 0 };
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
    case wire.tiny:
    case wire.short:
    case wire.int24:
    case wire.long:
    case wire.longlong:
    case wire.year:
    case wire.date:
    case wire.newdate:
    case wire.oldTime:
    case wire.oldDatetime:
    case wire.oldTimestamp:
    case wire.null:
      return { type, size: 0, scale: 0 };
    // Of these no byte is one; TABLE_MAP has them as BINARY and VARBINARY.
    case wire.uuid:
    case wire.inet4:
    case wire.inet6:
    case wire.binaryVector:
    case wire.unknown:
      return { type: wire.unknown, size: typeByte, scale: 0 };
    default:
      return type satisfies never;
  }
}

/** The two bytes of STRING: its real type, and a length whose ninth and tenth bit hide inverted in the type. */
function stringColumn(first: number, second: number): RawColumn {
  const real = first | 0x30;
  const type = typeOf(real);
  if (type !== wire.string && type !== wire.enum && type !== wire.set) return { type: wire.unknown, size: real, scale: 0 };
  return { type, size: second | (((first & 0x30) ^ 0x30) << 4), scale: 0 };
}
