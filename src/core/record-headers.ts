/** The headers of a row's record: version, term, commit-ts-us, schema, open, barrier, and Debezium's two of a key change. */
import { invariant } from './assert.ts';
import type { LogRecord } from './log-port.ts';
import { corrupt } from './log-errors.ts';
import { versionWidth } from './version.ts';
import { readVarint, varintSize, writeVarint, type Cursor } from './varint.ts';

export const versionName = Buffer.from('version');
/** The record is in every partition of its stream; the value is their number. */
export const barrierHeader = (partitions: number): readonly [string, Uint8Array] => ['barrier', Buffer.from(String(partitions))];
export const openHeader: readonly [string, Uint8Array] = ['open', Buffer.from('1')];

/**
 * All headers but the version are the same for every row of one table in one transaction: they are encoded once and
 * copied; the version is written in place. `open` marks the last record of an unfinished part of a transaction.
 */
export class EncodedHeaders {
  readonly #pairs: readonly (readonly [string, Uint8Array])[];
  readonly #constant: Buffer;
  readonly #count: number;
  #opened: EncodedHeaders | undefined;
  readonly size: number;
  /** The record is not its transaction's last in this partition. */
  readonly open: boolean;
  version = '';

  constructor(pairs: readonly (readonly [string, Uint8Array])[]) {
    this.#pairs = pairs;
    this.#count = pairs.length + 1;
    this.open = pairs.includes(openHeader);
    this.#constant = Buffer.concat(pairs.map(([name, value]) => encodeHeader(name, value)));
    this.size =
      varintSize(this.#count) +
      varintSize(versionName.length) +
      versionName.length +
      varintSize(versionWidth) +
      versionWidth +
      this.#constant.length;
  }

  static of(term: number, committedAtUs: number, schemaId: string, extra: readonly (readonly [string, Uint8Array])[] = []): EncodedHeaders {
    return new EncodedHeaders([
      ['term', Buffer.from(String(term))],
      ['commit-ts-us', Buffer.from(String(committedAtUs))],
      ['schema', Buffer.from(schemaId)],
      ...extra,
    ]);
  }

  /** The same, and the record is not its transaction's last in this partition. One object for all rows, like this. */
  opened(): EncodedHeaders {
    this.#opened ??= new EncodedHeaders([...this.#pairs, openHeader]);
    this.#opened.version = this.version;
    return this.#opened;
  }

  write(target: Uint8Array, start: number): number {
    const buffer = Buffer.from(target.buffer, target.byteOffset, target.byteLength);
    invariant(this.version.length === versionWidth, 'a version has its fixed width');
    let at = writeVarint(buffer, start, this.#count);
    at = writeVarint(buffer, at, versionName.length);
    at += versionName.copy(buffer, at);
    at = writeVarint(buffer, at, versionWidth);
    at += buffer.write(this.version, at, 'latin1');
    return at + this.#constant.copy(buffer, at);
  }
}

export function encodeHeader(name: string, value: Uint8Array): Buffer {
  const nameBytes = Buffer.from(name);
  const out = Buffer.alloc(10 + nameBytes.length + value.length);
  let at = writeVarint(out, 0, nameBytes.length);
  at += nameBytes.copy(out, at);
  at = writeVarint(out, at, value.length);
  out.set(value, at);
  return out.subarray(0, at + value.length);
}

/** The headers of one record, as the reader of a log wants them. */
type ReadHeaders = Pick<LogRecord, 'version' | 'term' | 'committedAtUs' | 'schemaId' | 'open' | 'barrier'>;
/** What rows of one table in one transaction have in common. */
export type SharedHeaders = Omit<ReadHeaders, 'version'>;

/**
 * Reads the headers of one batch's records. Behind the version they are the same bytes for all rows of one table in one
 * transaction: what was parsed for the record before is used again where the bytes are equal (a third of all decoding).
 */
export class HeaderReader {
  readonly #buffer: Buffer;
  readonly #where: string;
  #from = 0;
  #to = 0;
  #last: ReadHeaders | undefined;
  /** Of the record that was read last. */
  version = '';

  constructor(buffer: Buffer, where: string) {
    this.#buffer = buffer;
    this.#where = where;
  }

  /**
   * Reads all headers up to `end`; the version is in `version`, the others are the answer, one object for many records. Unknown
   * ones are passed over: a later release may add some.
   */
  read(cursor: Cursor, end: number): SharedHeaders {
    const start = cursor.at;
    const constantAt = start + ourHeadBytes;
    if (
      this.#last !== undefined &&
      end - constantAt === this.#to - this.#from &&
      this.#startsLikeOurs(start) &&
      this.#equal(start, constantAt, end)
    ) {
      cursor.at = end;
      this.version = this.#buffer.toString('latin1', constantAt - versionWidth, constantAt);
      return this.#last;
    }
    const headers = headersOf(this.#buffer, cursor, end, this.#where);
    this.version = headers.version;
    this.#last = this.#startsLikeOurs(start) ? headers : undefined;
    this.#from = constantAt;
    this.#to = end;
    return headers;
  }

  /** One byte of count, then the version under its name: how our own writer begins. */
  #startsLikeOurs(start: number): boolean {
    const buffer = this.#buffer;
    for (let i = 1; i < ourHead.length; i += 1) if (buffer[start + i] !== ourHead[i]) return false;
    return (buffer[start] as number) < 128;
  }

  #equal(start: number, constantAt: number, end: number): boolean {
    const buffer = this.#buffer;
    if (buffer[start] !== buffer[this.#from - ourHeadBytes]) return false;
    for (let at = constantAt, from = this.#from; at < end; at += 1, from += 1) if (buffer[at] !== buffer[from]) return false;
    return true;
  }
}

const ourHead = Buffer.concat([Buffer.from([0]), encodeHeader('version', Buffer.alloc(versionWidth)).subarray(0, -versionWidth)]);
const ourHeadBytes = ourHead.length + versionWidth;

const digits = /^\d{1,16}$/;

function headersOf(buffer: Buffer, cursor: Cursor, end: number, where: string): ReadHeaders {
  const headers: { -readonly [name in keyof ReadHeaders]: ReadHeaders[name] } = {
    version: '',
    term: -1,
    committedAtUs: -1,
    schemaId: '',
    open: false,
  };
  for (let count = readVarint(buffer, cursor); count > 0; count -= 1) {
    const name = readText(buffer, cursor, end, where);
    const value = readText(buffer, cursor, end, where);
    if (name === 'version') headers.version = value;
    else if (name === 'term') headers.term = digits.test(value) ? Number(value) : -1;
    else if (name === 'commit-ts-us') headers.committedAtUs = digits.test(value) ? Number(value) : -1;
    else if (name === 'schema') headers.schemaId = value;
    else if (name === 'open') headers.open = true;
    else if (name === 'barrier') headers.barrier = digits.test(value) ? Number(value) : 0;
  }
  if (headers.version.length !== versionWidth || headers.term < 0 || headers.committedAtUs < 0 || headers.schemaId === '') {
    throw corrupt(where, 'a record lacks its version, term, commit time or schema');
  }
  if (headers.barrier === 0) throw corrupt(where, 'a barrier does not say how many partitions hold it');
  return headers;
}

function readText(buffer: Buffer, cursor: Cursor, end: number, where: string): string {
  const length = readVarint(buffer, cursor);
  if (length < 0) return '';
  const from = cursor.at;
  cursor.at += length;
  if (cursor.at > end) throw corrupt(where, 'a header is longer than its record');
  return buffer.toString('latin1', from, cursor.at);
}
