/**
 * A column as the server stores it, whether TABLE_MAP or information_schema said so, and the shape that the rest of the
 * pipeline sees. Both ways must come to the same TableSchema, id included.
 */
import { createHash } from 'node:crypto';
import type { ColumnKind, ColumnSchema, TableId, TableSchema } from '../../../src/core/change.ts';

/**
 * The type bytes of TABLE_MAP; ENUM and SET are unpacked from STRING's metadata. Those above 255 are types of MariaDB that
 * TABLE_MAP shows as BINARY or VARBINARY: only the server's description of the table tells them apart.
 */
export const wire = {
  tiny: 1,
  short: 2,
  long: 3,
  float: 4,
  double: 5,
  null: 6,
  oldTimestamp: 7,
  longlong: 8,
  int24: 9,
  date: 10,
  oldTime: 11,
  oldDatetime: 12,
  year: 13,
  newdate: 14,
  varchar: 15,
  bit: 16,
  timestamp: 17,
  datetime: 18,
  time: 19,
  compressedBlob: 140,
  compressedVarchar: 141,
  vector: 242,
  json: 245,
  decimal: 246,
  enum: 247,
  set: 248,
  tinyBlob: 249,
  mediumBlob: 250,
  longBlob: 251,
  blob: 252,
  string: 254,
  geometry: 255,
  uuid: 256,
  inet4: 257,
  inet6: 258,
  binaryVector: 259,
  /** None of these: it is refused wherever its rows would be read. */
  unknown: -1,
} as const;

/** The closed list: whoever does something for each type is held by the compiler to all of them. */
export type WireType = (typeof wire)[keyof typeof wire];

export interface BinlogColumn {
  readonly name: string;
  readonly type: WireType;
  /** unknown: its number in the binlog, 0 where only the server described it; decimal: precision; bit: bits; char, varchar, binary: bytes at most; blob, json, geometry, vector, enum, set: bytes of its length or number; times: fraction digits. */
  readonly size: number;
  /** decimal: its scale; geometry: the number of its subtype in WKB, 0 for any; vector: how many elements at most, 0 unknown. */
  readonly scale: number;
  readonly unsigned: boolean;
  readonly nullable: boolean;
  /** Character data only: its character set, `binary` for binary strings; '' for everything else. */
  readonly charset: string;
  readonly labels: readonly string[];
  /** In the rows, but no column of the table: nobody sees it. */
  readonly hidden?: true;
}

const blobNames = ['tiny', '', 'medium', 'long'];

const fixedKinds = { [wire.uuid]: 'uuid', [wire.inet4]: 'inet4', [wire.inet6]: 'inet6' } as const;

/** What the log's readers see of a column. `characterBytes`: how wide a character of its charset can be. */
export function columnSchema(column: BinlogColumn, characterBytes: number): ColumnSchema {
  const { name, nullable, size } = column;
  const of = (kind: ColumnKind, type: string, more: Partial<ColumnSchema> = {}): ColumnSchema => ({ name, kind, nullable, type, ...more });
  const timed = (kind: ColumnKind): ColumnSchema => of(kind, size > 0 ? `${kind}(${size})` : kind, { scale: size });
  const unsigned = column.unsigned ? ' unsigned' : '';
  const integer = (type: string, bits: number) => of('integer', `${type}${unsigned}`, { bits, unsigned: column.unsigned });
  switch (column.type) {
    case wire.tiny:
      return integer('tinyint', 8);
    case wire.short:
      return integer('smallint', 16);
    case wire.int24:
      return integer('mediumint', 24);
    case wire.long:
      return integer('int', 32);
    case wire.longlong:
      return integer('bigint', 64);
    case wire.decimal:
      return of('decimal', `decimal(${size},${column.scale})${unsigned}`, { precision: size, scale: column.scale });
    case wire.float:
      return of('float', `float${unsigned}`);
    case wire.double:
      return of('double', `double${unsigned}`);
    case wire.bit:
      return of(size === 1 ? 'boolean' : 'bit', `bit(${size})`, { bits: size });
    case wire.year:
      return of('year', 'year');
    case wire.date:
    case wire.newdate:
      return of('date', 'date');
    case wire.time:
    case wire.oldTime:
      return timed('time');
    case wire.datetime:
    case wire.oldDatetime:
      return timed('datetime');
    case wire.timestamp:
    case wire.oldTimestamp:
      return timed('timestamp');
    case wire.enum:
      return of('enum', 'enum', { labels: column.labels });
    case wire.set:
      return of('set', 'set', { labels: column.labels });
    case wire.json:
      return of('json', 'json');
    case wire.geometry:
      return of('geometry', geometryNames[column.scale] ?? 'geometry');
    case wire.vector:
    case wire.binaryVector:
      return vectorSchema(column.type === wire.vector ? column.scale : size / 4, of);
    case wire.uuid:
    case wire.inet4:
    case wire.inet6:
      return of(fixedKinds[column.type], fixedKinds[column.type]);
    case wire.string:
    case wire.varchar:
    case wire.compressedVarchar:
    case wire.blob:
    case wire.tinyBlob:
    case wire.mediumBlob:
    case wire.longBlob:
    case wire.compressedBlob:
      return stringSchema(column, characterBytes, of);
    case wire.null:
    case wire.unknown:
      return of('bytes', 'unknown');
    default:
      return column.type satisfies never;
  }
}

/** By their numbers in WKB, which TABLE_MAP uses too. */
export const geometryNames = [
  'geometry',
  'point',
  'linestring',
  'polygon',
  'multipoint',
  'multilinestring',
  'multipolygon',
  'geometrycollection',
] as const;

const vectorSchema = (length: number, of: Make) => (length > 0 ? of('vector', `vector(${length})`, { length }) : of('vector', 'vector'));

type Make = (kind: ColumnKind, type: string, more?: Partial<ColumnSchema>) => ColumnSchema;

/** That a column is stored COMPRESSED is nobody's business but the decoder's. */
function stringSchema(column: BinlogColumn, characterBytes: number, of: Make): ColumnSchema {
  const binary = column.charset === 'binary';
  const kind = binary ? 'bytes' : 'string';
  const bytes = column.type === wire.compressedVarchar ? column.size - 1 : column.size;
  const length = binary ? bytes : Math.floor(bytes / characterBytes);
  if (column.type === wire.string) return of(kind, `${binary ? 'binary' : 'char'}(${length})`, { length });
  if (column.type === wire.varchar || column.type === wire.compressedVarchar)
    return of(kind, `${binary ? 'varbinary' : 'varchar'}(${length})`, { length });
  return of(kind, `${blobNames[column.size - 1] ?? ''}${binary ? 'blob' : 'text'}`);
}

const stringTypes = [
  wire.string,
  wire.varchar,
  wire.blob,
  wire.tinyBlob,
  wire.mediumBlob,
  wire.longBlob,
  wire.compressedVarchar,
  wire.compressedBlob,
] as const;
/** Character and binary strings. */
export type StringType = (typeof stringTypes)[number];
const strings: ReadonlySet<WireType> = new Set(stringTypes);
/** TABLE_MAP lists their collations. */
export const isString = (type: WireType): boolean => strings.has(type);
export const isChoice = (type: WireType): boolean => type === wire.enum || type === wire.set;

/** Why a column cannot be carried, in words; undefined when it can. */
export function unsupported(column: BinlogColumn, knowsCharset: (name: string) => boolean): string | undefined {
  if (column.size < 0) return 'it has the storage format of before MySQL 5.6.4, and how many digits its fraction had is not known any more';
  if (column.type === wire.unknown) return `its type${column.size === 0 ? '' : ` (${column.size} in the binlog)`} is not known`;
  if (column.type === wire.null) return 'it has no type';
  if (isChoice(column.type) && column.labels.length === 0) return 'its labels are not text in its character set';
  if (column.charset === '') return isString(column.type) ? 'the server does not know its collation' : undefined;
  if (column.charset === 'binary' || knowsCharset(column.charset)) return undefined;
  return `its character set ${column.charset} is not known`;
}

/** `id` is a digest of all the rest, so equal shapes have equal ids wherever they were seen. */
export function tableSchema(table: TableId, columns: readonly ColumnSchema[], key: readonly string[]): TableSchema {
  const id = createHash('sha256')
    .update(JSON.stringify([table.database, table.table, columns, key]))
    .digest('hex')
    .slice(0, 16);
  return { id, table, columns, key };
}
