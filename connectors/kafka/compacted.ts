/**
 * Records of a compacted topic: what is left of a batch may have gaps between its offsets, or no record at all, so core's
 * strict reader is not the one for it.
 */
import { corrupt } from '../../src/core/log-errors.ts';
import { attributesAt, type Codec, crcFrom, headerBytes, zstd } from '../../src/core/record-batch.ts';
import { type Cursor, readVarint } from '../../src/core/varint.ts';
import type { StoredBatch } from './record-set.ts';

export interface KeyedRecord {
  readonly offset: number;
  readonly key: string;
  /** null where the key was deleted. */
  readonly value: Buffer | null;
}

export function decodeCompacted({ bytes, baseOffset, control, records }: StoredBatch, codec: Codec, where: string): KeyedRecord[] {
  if (control) return [];
  if (bytes.readUInt32BE(17) !== codec.crc32c(bytes.subarray(crcFrom)) >>> 0) throw corrupt(where, 'its checksum does not match');
  const plain = plainRecords(bytes, codec, where);
  const cursor: Cursor = { at: 0 };
  const decoded: KeyedRecord[] = [];
  for (let index = 0; index < records; index += 1) {
    const end = readVarint(plain, cursor) + cursor.at;
    if (end <= cursor.at || end > plain.length) throw corrupt(where, 'a record is cut');
    cursor.at += 1;
    readVarint(plain, cursor);
    const offset = baseOffset + readVarint(plain, cursor);
    const key = readBytes(plain, cursor, end, where);
    const value = readBytes(plain, cursor, end, where);
    if (key !== null) decoded.push({ offset, key: key.toString(), value });
    cursor.at = end;
  }
  return decoded;
}

function plainRecords(bytes: Buffer, codec: Codec, where: string): Buffer {
  const compression = bytes.readInt16BE(attributesAt) & 7;
  const body = bytes.subarray(headerBytes);
  if (compression === 0) return body;
  if (compression !== zstd) throw corrupt(where, `its compression ${compression} is not ours`);
  try {
    const plain = codec.decompress(body, 0);
    return Buffer.from(plain.buffer, plain.byteOffset, plain.byteLength);
  } catch {
    throw corrupt(where, 'it cannot be decompressed');
  }
}

function readBytes(plain: Buffer, cursor: Cursor, end: number, where: string): Buffer | null {
  const length = readVarint(plain, cursor);
  if (length < 0) return null;
  const from = cursor.at;
  cursor.at += length;
  if (cursor.at > end) throw corrupt(where, 'a key or value is longer than its record');
  return plain.subarray(from, cursor.at);
}
