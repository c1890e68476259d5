/**
 * Kafka's RecordBatch v2, the one format of both logs: the embedded log stores the very bytes that a broker would get.
 * CRC32C and zstd are handed in, because core has no packages.
 * Layout: https://kafka.apache.org/documentation/#recordbatch
 */
import { invariant } from './assert.ts';
import type { LogRecord } from './log-port.ts';
import { CrossfadeError } from './errors.ts';
import { corrupt } from './log-errors.ts';
import { type EncodedHeaders, HeaderReader } from './record-headers.ts';
import { readVarint, varintSize, writeVarint, type Cursor } from './varint.ts';

export interface Codec {
  crc32c(bytes: Uint8Array): number;
  /** zstd, level 1. */
  compress(bytes: Uint8Array): Uint8Array;
  decompress(bytes: Uint8Array, expectedBytes: number): Uint8Array;
}

const headerBytes = 61;
const crcFrom = 21;
const attributesAt = 21;
const zstd = 4;
/** Below this many records zstd costs more than it saves (measured: 2–5 times the CPU a record). */
const compressFromRecords = 40;
const smallBytes = 64 * 1024;
const largeBytes = 8 * 1024 * 1024;

/** Collects the records of one partition. Reusable after `reset`; `bytes` is the size of the plain records. */
export class RecordBatchBuilder {
  #buffer: Buffer<ArrayBuffer> = Buffer.allocUnsafeSlow(smallBytes);
  #length = headerBytes;
  #baseTimestamp = 0;
  #maxTimestamp = 0;
  #firstVersion = '';
  #lastVersion = '';
  #lastTransactionId = '';
  /** Where the last record lies, so that it can be written once more. */
  #lastStart = 0;
  #lastValueEnd = 0;
  #lastValueBytes = -1;
  #lastKeyEnd = 0;
  #lastKeyBytes = 0;
  #lastTimestamp = 0;
  #lastHeaders: EncodedHeaders | undefined;
  count = 0;

  get bytes(): number {
    return this.#length - headerBytes;
  }
  get firstVersion(): string {
    return this.#firstVersion;
  }
  get lastVersion(): string {
    return this.#lastVersion;
  }
  get lastTransactionId(): string {
    return this.#lastTransactionId;
  }

  reset(): void {
    this.#length = headerBytes;
    this.count = 0;
    if (this.#buffer.length <= largeBytes) return;
    // One huge row must not pin its memory for the life of the pipeline, nor until the next collection of garbage.
    this.#buffer.buffer.transfer(0);
    this.#buffer = Buffer.allocUnsafeSlow(smallBytes);
  }

  /** Copies everything; the caller's buffers are free at once. `version` is the fixed-width text of version.ts. */
  add(timestampMs: number, key: Uint8Array | null, value: Uint8Array | null, headers: EncodedHeaders, transactionId: string): void {
    if (this.count === 0) {
      this.#baseTimestamp = timestampMs;
      this.#maxTimestamp = timestampMs;
      this.#firstVersion = headers.version;
    }
    if (timestampMs > this.#maxTimestamp) this.#maxTimestamp = timestampMs;
    this.#lastVersion = headers.version;
    this.#lastTransactionId = transactionId;
    const delta = timestampMs - this.#baseTimestamp;
    const keyLength = key === null ? -1 : key.length;
    const valueLength = value === null ? -1 : value.length;
    const size =
      1 +
      varintSize(delta) +
      varintSize(this.count) +
      varintSize(keyLength) +
      Math.max(keyLength, 0) +
      varintSize(valueLength) +
      Math.max(valueLength, 0) +
      headers.size;
    this.#reserve(size + 10);
    const buffer = this.#buffer;
    this.#lastStart = this.#length;
    let at = writeVarint(buffer, this.#length, size);
    buffer[at++] = 0;
    at = writeVarint(buffer, at, delta);
    at = writeVarint(buffer, at, this.count);
    at = writeVarint(buffer, at, keyLength);
    if (key !== null) {
      buffer.set(key, at);
      at += key.length;
    }
    this.#lastKeyEnd = at;
    at = writeVarint(buffer, at, valueLength);
    if (value !== null) {
      buffer.set(value, at);
      at += value.length;
    }
    this.#lastKeyBytes = keyLength;
    this.#lastValueEnd = at;
    this.#lastValueBytes = valueLength;
    this.#lastTimestamp = timestampMs;
    this.#lastHeaders = headers;
    this.#length = headers.write(buffer, at);
    this.count += 1;
  }

  /** The batch is cut here, and the transaction of its last record goes on in the next one of its partition. */
  openLast(): void {
    invariant(this.count > 0 && this.#lastHeaders !== undefined, 'an empty batch has no last record');
    if (this.#lastHeaders.open) return;
    const key = this.#lastKeyBytes < 0 ? null : Buffer.from(this.#buffer.subarray(this.#lastKeyEnd - this.#lastKeyBytes, this.#lastKeyEnd));
    const value =
      this.#lastValueBytes < 0 ? null : Buffer.from(this.#buffer.subarray(this.#lastValueEnd - this.#lastValueBytes, this.#lastValueEnd));
    const headers = this.#lastHeaders.opened();
    // The headers are shared by a table's rows, and may hold the next row's version by now.
    headers.version = this.#lastVersion;
    this.#length = this.#lastStart;
    this.count -= 1;
    this.add(this.#lastTimestamp, key, value, headers, this.#lastTransactionId);
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#length + more));
    this.#buffer.copy(grown, 0, 0, this.#length);
    if (this.#buffer.length > largeBytes) this.#buffer.buffer.transfer(0);
    this.#buffer = grown;
  }

  /**
   * The finished batch, in memory of its own; a large one that was not compressed in the builder's, good until its `reset`.
   * Producer fields are Kafka's; the embedded log leaves them at -1.
   */
  finish(codec: Codec, baseOffset: number, producer?: { id: bigint; epoch: number; sequence: number }): Uint8Array {
    invariant(this.count > 0, 'a record batch has at least one record');
    const plain = this.#buffer.subarray(headerBytes, this.#length);
    const packed = this.count >= compressFromRecords ? codec.compress(plain) : undefined;
    const body = packed !== undefined && packed.length < plain.length ? packed : plain;
    const inPlace = body === plain && plain.length > largeBytes;
    const out = inPlace ? this.#buffer.subarray(0, this.#length) : Buffer.allocUnsafe(headerBytes + body.length);
    out.writeBigInt64BE(BigInt(baseOffset), 0);
    out.writeInt32BE(out.length - 12, 8);
    out.writeInt32BE(-1, 12);
    out[16] = 2;
    out.writeInt16BE(body === plain ? 0 : zstd, attributesAt);
    out.writeInt32BE(this.count - 1, 23);
    out.writeBigInt64BE(BigInt(this.#baseTimestamp), 27);
    out.writeBigInt64BE(BigInt(this.#maxTimestamp), 35);
    out.writeBigInt64BE(producer?.id ?? -1n, 43);
    out.writeInt16BE(producer?.epoch ?? -1, 51);
    out.writeInt32BE(producer?.sequence ?? -1, 53);
    out.writeInt32BE(this.count, 57);
    if (!inPlace) out.set(body, headerBytes);
    out.writeUInt32BE(codec.crc32c(out.subarray(crcFrom)) >>> 0, 17);
    return out;
  }
}

/**
 * Decodes one whole batch; `rawBytes` is the plain size when the log knows it, else a guess is used. Keys and values are
 * views into memory that belongs to the answer. Anything that is not exactly a batch of ours throws LOG_CORRUPT.
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
  const base = { offset: Number(batch.readBigInt64BE(0)), timestampMs: Number(batch.readBigInt64BE(27)) };
  const records: LogRecord[] = [];
  const cursor: Cursor = { at: 0 };
  const headers = new HeaderReader(plain, where);
  try {
    for (let index = 0; index < count; index += 1) records.push(decodeRecord(plain, cursor, index, base, headers, where));
  } catch (error) {
    if (error instanceof CrossfadeError) throw error;
    throw corrupt(where, 'a record is cut');
  }
  if (cursor.at !== plain.length) throw corrupt(where, 'there are bytes behind its last record');
  return records;
}

function decompressed(body: Buffer, codec: Codec, rawBytes: number, where: string): Buffer {
  try {
    const plain = codec.decompress(body, rawBytes);
    return Buffer.from(plain.buffer, plain.byteOffset, plain.byteLength);
  } catch {
    throw corrupt(where, 'it cannot be decompressed');
  }
}

function decodeRecord(
  buffer: Buffer,
  cursor: Cursor,
  index: number,
  base: { readonly offset: number; readonly timestampMs: number },
  reader: HeaderReader,
  where: string,
): LogRecord {
  const length = readVarint(buffer, cursor);
  const end = cursor.at + length;
  if (length <= 0 || end > buffer.length) throw corrupt(where, 'a record is cut');
  cursor.at += 1;
  const timestampMs = base.timestampMs + readVarint(buffer, cursor);
  if (readVarint(buffer, cursor) !== index) throw corrupt(where, 'its records are not numbered in a row');
  const key = readBytes(buffer, cursor, end, where);
  const value = readBytes(buffer, cursor, end, where);
  const { version, term, committedAtUs, schemaId, open, barrier } = reader.read(cursor, end);
  if (cursor.at !== end) throw corrupt(where, 'a record has another length than it says');
  const record = { offset: base.offset + index, timestampMs, key, value, version, term, committedAtUs, schemaId, open };
  return barrier === undefined ? record : { ...record, barrier };
}

function readBytes(buffer: Buffer, cursor: Cursor, end: number, where: string): Uint8Array | null {
  const length = readVarint(buffer, cursor);
  if (length === -1) return null;
  if (length < 0) throw corrupt(where, 'a key or value has a negative length');
  const from = cursor.at;
  cursor.at += length;
  if (cursor.at > end) throw corrupt(where, 'a key or value is longer than its record');
  return buffer.subarray(from, cursor.at);
}
