/** Kafka's RecordBatch v2 back into records: the reading side of record-batch.ts. */
import { CrossfadeError } from './errors.ts';
import { corrupt } from './log-errors.ts';
import type { LogRecord } from './log-port.ts';
import { attributesAt, type Codec, crcFrom, headerBytes, zstd } from './record-batch.ts';
import { HeaderReader } from './record-headers.ts';
import { readVarint, type Cursor } from './varint.ts';

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
  const { term, committedAtUs, schemaId, open, barrier } = reader.read(cursor, end);
  if (cursor.at !== end) throw corrupt(where, 'a record has another length than it says');
  const record = { offset: base.offset + index, timestampMs, key, value, version: reader.version, term, committedAtUs, schemaId, open };
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
