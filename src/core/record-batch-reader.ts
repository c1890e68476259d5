/** Kafka's RecordBatch v2 back into records: the reading side of record-batch.ts. */
import { CrossfadeError } from './errors.ts';
import { corrupt } from './log-errors.ts';
import type { LogRecord } from './log-port.ts';
import { attributesAt, type Codec, crcFrom, headerBytes, zstd } from './record-batch.ts';
import { HeaderReader, type SharedHeaders } from './record-headers.ts';
import { readVarint, type Cursor } from './varint.ts';

/**
 * Decodes one whole batch; `rawBytes` is the plain size when the log knows it, else a guess is used. Keys and values are
 * views, made when they are asked for, into memory that belongs to the answer. Anything that is not exactly a batch of ours throws LOG_CORRUPT.
 */
export function decodeRecordBatch(bytes: Uint8Array, codec: Codec, where: string, rawBytes = 0): LogRecord[] {
  const batch = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (batch.length < headerBytes || batch[16] !== 2 || batch.readInt32BE(8) !== batch.length - 12)
    throw corrupt(where, 'its length or magic is wrong');
  if (batch.readUInt32BE(17) !== codec.crc32c(batch.subarray(crcFrom)) >>> 0) throw corrupt(where, 'its checksum does not match');
  const compression = batch.readInt16BE(attributesAt) & 7;
  if (compression !== 0 && compression !== zstd) throw corrupt(where, `its compression ${compression} is not ours`);
  const body = batch.subarray(headerBytes);
  const plain = compression === 0 ? body : decompressed(body, codec, rawBytes, where);
  const count = batch.readInt32BE(57);
  if (count < 1 || batch.readInt32BE(23) !== count - 1) throw corrupt(where, 'its number of records is wrong');
  const places = new Places(plain, count, Number(batch.readBigInt64BE(0)), Number(batch.readBigInt64BE(27)));
  const records: LogRecord[] = [];
  const cursor: Cursor = { at: 0 };
  const headers = new HeaderReader(plain, where);
  try {
    for (let index = 0; index < count; index += 1) records.push(decodeRecord(places, cursor, index, headers, where));
  } catch (error) {
    if (error instanceof CrossfadeError) throw error;
    throw corrupt(where, 'a record is cut');
  }
  if (cursor.at !== plain.length) throw corrupt(where, 'there are bytes behind its last record');
  return records;
}

/** Where the keys and values of a batch lie: two views a record cost apply more than all that it reads of them. */
class Places {
  readonly bytes: Buffer;
  readonly baseOffset: number;
  readonly timestampsMs: Float64Array;
  /** Begin and end of the key, then of the value; an end of -1 is null. */
  readonly places: Int32Array;
  readonly #baseTimestampMs: number;

  constructor(bytes: Buffer, count: number, baseOffset: number, baseTimestampMs: number) {
    // No record has less than ten bytes: a count that is a lie must not cost memory.
    const room = Math.min(count, bytes.length);
    this.bytes = bytes;
    this.baseOffset = baseOffset;
    this.#baseTimestampMs = baseTimestampMs;
    this.timestampsMs = new Float64Array(room);
    this.places = new Int32Array(room * 4);
  }

  timestamp(index: number, deltaMs: number): void {
    this.timestampsMs[index] = this.#baseTimestampMs + deltaMs;
  }

  view(at: number): Uint8Array | null {
    const end = this.places[at + 1] as number;
    return end < 0 ? null : this.bytes.subarray(this.places[at], end);
  }
}

/** Its bytes are looked up when somebody asks. */
class StoredRecord implements LogRecord {
  readonly version: string;
  readonly #in: Places;
  readonly #index: number;
  readonly #shared: SharedHeaders;

  constructor(places: Places, index: number, version: string, shared: SharedHeaders) {
    this.version = version;
    this.#in = places;
    this.#index = index;
    this.#shared = shared;
  }

  get offset(): number {
    return this.#in.baseOffset + this.#index;
  }
  get timestampMs(): number {
    return this.#in.timestampsMs[this.#index] as number;
  }
  get key(): Uint8Array | null {
    return this.#in.view(this.#index * 4);
  }
  get value(): Uint8Array | null {
    return this.#in.view(this.#index * 4 + 2);
  }
  get term(): number {
    return this.#shared.term;
  }
  get committedAtUs(): number {
    return this.#shared.committedAtUs;
  }
  get schemaId(): string {
    return this.#shared.schemaId;
  }
  get open(): boolean {
    return this.#shared.open;
  }
  get barrier(): number | undefined {
    return this.#shared.barrier;
  }

  static scan<T>(record: LogRecord, scanner: ValueScanner<T>): T | undefined {
    if (!(#in in record)) {
      const { value } = record;
      return value === null
        ? undefined
        : scanner.scanIn(Buffer.from(value.buffer, value.byteOffset, value.byteLength), 0, value.byteLength);
    }
    const { bytes, places } = record.#in;
    const end = places[record.#index * 4 + 3] as number;
    return end < 0 ? undefined : scanner.scanIn(bytes, places[record.#index * 4 + 2] as number, end);
  }

  static size(record: LogRecord): number {
    if (!(#in in record)) return (record.key?.length ?? 0) + (record.value?.length ?? 0);
    const { places } = record.#in;
    const at = record.#index * 4;
    const [key, value] = [(places[at + 1] as number) - (places[at] as number), (places[at + 3] as number) - (places[at + 2] as number)];
    // An end of -1 lies before any begin.
    return Math.max(0, key) + Math.max(0, value);
  }

  static isTombstone(record: LogRecord): boolean {
    return #in in record ? (record.#in.places[record.#index * 4 + 3] as number) < 0 : record.value === null;
  }
}

interface ValueScanner<T> {
  /** What lies from `from` to below `to`. */
  scanIn(bytes: Buffer, from: number, to: number): T | undefined;
}

/** Hands a record's value to a scanner where it lies, without a view of it; a tombstone has none. */
export const scanValue = <T>(record: LogRecord, scanner: ValueScanner<T>): T | undefined => StoredRecord.scan(record, scanner);

/** Bytes of its key and value. */
export const recordBytes = (record: LogRecord): number => StoredRecord.size(record);

/** Whether its value is null, without a view of it. */
export const isTombstone = (record: LogRecord): boolean => StoredRecord.isTombstone(record);

function decompressed(body: Buffer, codec: Codec, rawBytes: number, where: string): Buffer {
  try {
    const plain = codec.decompress(body, rawBytes);
    return Buffer.from(plain.buffer, plain.byteOffset, plain.byteLength);
  } catch {
    throw corrupt(where, 'it cannot be decompressed');
  }
}

function decodeRecord(places: Places, cursor: Cursor, index: number, reader: HeaderReader, where: string): LogRecord {
  const { bytes } = places;
  const length = readVarint(bytes, cursor);
  const end = cursor.at + length;
  if (length <= 0 || end > bytes.length) throw corrupt(where, 'a record is cut');
  cursor.at += 1;
  places.timestamp(index, readVarint(bytes, cursor));
  if (readVarint(bytes, cursor) !== index) throw corrupt(where, 'its records are not numbered in a row');
  readPlace(places, index * 4, cursor, end, where);
  readPlace(places, index * 4 + 2, cursor, end, where);
  const shared = reader.read(cursor, end);
  if (cursor.at !== end) throw corrupt(where, 'a record has another length than it says');
  return new StoredRecord(places, index, reader.version, shared);
}

function readPlace({ bytes, places }: Places, slot: number, cursor: Cursor, end: number, where: string): void {
  const length = readVarint(bytes, cursor);
  places[slot] = cursor.at;
  places[slot + 1] = -1;
  if (length === -1) return;
  if (length < 0) throw corrupt(where, 'a key or value has a negative length');
  cursor.at += length;
  if (cursor.at > end) throw corrupt(where, 'a key or value is longer than its record');
  places[slot + 1] = cursor.at;
}
