/** Control records as one batch: keys and values without headers, never compressed, so that a person can read them with Kafka's own tools. */
import { type Codec, crcFrom, headerBytes } from '../../src/core/record-batch.ts';
import { varintSize, writeVarint } from '../../src/core/varint.ts';
import type { ControlRecord } from './control.ts';
import type { NumberedProducer } from './producer.ts';

export function encodeControlBatch(records: readonly ControlRecord[], producer: NumberedProducer, codec: Codec, nowMs: number): Buffer {
  const sizes = records.map(({ key, value }, index) => recordSize(key, value, index));
  const length = sizes.reduce((sum, size) => sum + varintSize(size) + size, headerBytes);
  const out = Buffer.alloc(length);
  out.writeInt32BE(length - 12, 8);
  out.writeInt32BE(-1, 12);
  out[16] = 2;
  out.writeInt32BE(records.length - 1, 23);
  out.writeBigInt64BE(BigInt(nowMs), 27);
  out.writeBigInt64BE(BigInt(nowMs), 35);
  out.writeBigInt64BE(producer.id, 43);
  out.writeInt16BE(producer.epoch, 51);
  out.writeInt32BE(producer.sequence, 53);
  out.writeInt32BE(records.length, 57);
  let at = headerBytes;
  for (const [index, { key, value }] of records.entries()) {
    at = writeVarint(out, at, sizes[index] ?? 0);
    // Attributes and the timestamp's delta.
    at = writeVarint(out, at + 1, 0);
    at = writeVarint(out, at, index);
    for (const bytes of [key, value]) {
      at = writeVarint(out, at, bytes.length);
      at += bytes.copy(out, at);
    }
    at = writeVarint(out, at, 0);
  }
  out.writeUInt32BE(codec.crc32c(out.subarray(crcFrom)) >>> 0, 17);
  return out;
}

function recordSize(key: Buffer, value: Buffer, index: number): number {
  return (
    1 + varintSize(0) + varintSize(index) + varintSize(key.length) + key.length + varintSize(value.length) + value.length + varintSize(0)
  );
}
