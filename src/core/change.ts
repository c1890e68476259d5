/** The words of the trade: tables, rows, changes. Pure; everything else points at this file. */

/** A spatial value. `wkb` has the axis order that the source stores (MySQL: longitude first); `srid` null where it names none. */
export interface Geometry {
  readonly wkb: Uint8Array;
  readonly srid: number | null;
}

/**
 * One cell. Decimals, temporals, enum labels and JSON are exact text, binary is bytes. An integer is a `number` up to
 * 2^53 and a `bigint` beyond, a BIT(n) bytes of which the first has the lowest eight bits, a FLOAT is the number whose shortest text is the float32's shortest text. A VECTOR is a
 * list of such numbers.
 */
export type Value = null | boolean | number | bigint | string | Uint8Array | Geometry | readonly number[];
export type Row = Readonly<Record<string, Value>>;

export interface TableId {
  readonly database: string;
  readonly table: string;
}

/** `database.table`, as the configuration spells it; a dot inside a name is doubled by backquotes there and here. */
export function tableName(id: TableId): string {
  return `${quotePart(id.database)}.${quotePart(id.table)}`;
}
const quotePart = (part: string) => (/[.`]/.test(part) ? `\`${part.replaceAll('`', '``')}\`` : part);

/** The reverse of {@link tableName}; undefined where the text is not `database.table`. */
export function parseTableName(text: string): TableId | undefined {
  const parts = /^(`(?:[^`]|``)+`|[^.`]+)\.(`(?:[^`]|``)+`|[^.`]+)$/.exec(text);
  if (!parts?.[1] || !parts[2]) return undefined;
  return { database: plainPart(parts[1]), table: plainPart(parts[2]) };
}
const plainPart = (part: string) => (part.startsWith('`') ? part.slice(1, -1).replaceAll('``', '`') : part);

/**
 * What a column's values are in the log (docs/types in semantics section 4). `bit` with one bit is `boolean`.
 * The list is closed: a decoder that meets another type stops.
 */
export type ColumnKind =
  | 'integer'
  | 'decimal'
  | 'float'
  | 'double'
  | 'boolean'
  | 'bit'
  | 'string'
  | 'bytes'
  | 'date'
  | 'time'
  | 'datetime'
  | 'timestamp'
  | 'year'
  | 'enum'
  | 'set'
  | 'json'
  | 'geometry'
  | 'vector'
  | 'uuid'
  | 'inet4'
  | 'inet6';

export interface ColumnSchema {
  readonly name: string;
  readonly kind: ColumnKind;
  readonly nullable: boolean;
  /** The source's own spelling of the type, for messages and reports: `bigint unsigned`, `varchar(40)`. */
  readonly type: string;
  /** integer only: 8, 16, 24, 32 or 64; bit: its number of bits. */
  readonly bits?: number;
  readonly unsigned?: boolean;
  /** string and bytes: the declared length in characters or bytes, where there is one. */
  readonly length?: number;
  /** decimal: digits in all; the digits behind the point are `scale`. */
  readonly precision?: number;
  /** decimal: digits behind the point; time, datetime and timestamp: fraction digits, 0 to 6. */
  readonly scale?: number;
  /** enum and set, in definition order. */
  readonly labels?: readonly string[];
  /** A row that names no value may have another one than NULL (DEFAULT, generated). Only where the server described the table: no part of the id. */
  readonly hasDefault?: boolean;
}

export interface TableSchema {
  /** A short digest of everything below; rows in the log name it in their `schema` header. */
  readonly id: string;
  readonly table: TableId;
  readonly columns: readonly ColumnSchema[];
  /** The names of the key's columns in key order; never empty for a table that is captured. */
  readonly key: readonly string[];
}

export type Change =
  | { readonly op: 'insert'; readonly after: Row }
  | { readonly op: 'update'; readonly before: Row; readonly after: Row }
  | { readonly op: 'delete'; readonly before: Row }
  | { readonly op: 'read'; readonly after: Row }
  | { readonly op: 'truncate' };

/** Rows may be made when they are asked for (see scanned-change.ts). Accessors of a class, so that the compiler refuses a spread that loses them. */
declare class BeforeRow {
  get before(): Row;
}
declare class AfterRow {
  get after(): Row;
}
type ChangeWithRows =
  | ({ readonly op: 'insert' | 'read' } & AfterRow)
  | ({ readonly op: 'update' } & BeforeRow & AfterRow)
  | ({ readonly op: 'delete' } & BeforeRow)
  | { readonly op: 'truncate' };

/** What transforms and sinks see: a change with its table's shape and its place in the one order of the source. */
export type ChangeEvent = ChangeWithRows & {
  readonly schema: TableSchema;
  readonly version: Version;
  readonly committedAtUs: number;
  readonly transactionId: string;
};

/** Fixed-width text, compared bytewise: see version.ts. */
export type Version = string;

/** Where in the source something happened: text that only its source can read. */
export type Position = string & { readonly __position?: never };
