/** The checksum and the compression that core's record batches are handed: native where the platform has it. */
import { createRequire } from 'node:module';
import { constants, zstdCompress, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type * as Crc32 from '@node-rs/crc32';
import type { Codec } from './core/record-batch.ts';

/** CRC-32C with a table: three to ten times slower than the native one, the same answer. */
export function plainCrc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i += 1) crc = (table[(crc ^ (bytes[i] as number)) & 255] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? 0x82f63b78 ^ (crc >>> 1) : crc >>> 1;
  return crc;
});

function nativeCrc32c(): ((bytes: Uint8Array) => number) | undefined {
  try {
    const native = createRequire(import.meta.url)('@node-rs/crc32') as typeof Crc32;
    const crc32c = (bytes: Uint8Array) => native.crc32c(asBuffer(bytes));
    // A wrong polynomial would write a log that nobody else can read: trust the binary only by its answer.
    return crc32c(Buffer.from('123456789')) === 0xe3069283 ? crc32c : undefined;
  } catch {
    // No binary for this platform: the table answers the same, only slower.
    return undefined;
  }
}

const asBuffer = (bytes: Uint8Array) => (Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));

const compressParams = { [constants.ZSTD_c_compressionLevel]: 1 };
/** Rows shrink to a sixth or so: one piece of output for most batches, since each costs a call, or a turn on the other thread. */
const compressOptions = ({ length }: Uint8Array) => ({
  params: compressParams,
  chunkSize: Math.max(leastChunkBytes, length >> 2),
  // Asynchronously zstd is not told, and the frame would not say it: its reader then takes a megabyte for a start.
  pledgedSrcSize: length,
});
const leastChunkBytes = 16 * 1024;
/** Of the output at once, where nobody knows how much it is, and at most. */
const unknownSizeBytes = 1024 * 1024;
const largestChunkBytes = 8 * 1024 * 1024;
const roomBytes = 64;

/** What a zstd frame says of its own length; 0 where it says nothing. Not to be trusted: it only sizes the output's pieces. */
function saidBytes(frame: Uint8Array): number {
  const bytes = asBuffer(frame);
  if (bytes.length < 9 || bytes.readUInt32LE(0) !== 0xfd2fb528) return 0;
  const descriptor = bytes[4] as number;
  const isOneSegment = (descriptor & 0x20) !== 0;
  const at = 5 + (isOneSegment ? 0 : 1) + ([0, 1, 2, 4][descriptor & 3] as number);
  const form = descriptor >> 6;
  if (at + 4 > bytes.length) return 0;
  if (form === 2) return bytes.readUInt32LE(at);
  if (form === 1) return bytes.readUInt16LE(at) + 256;
  return form === 0 && isOneSegment ? (bytes[at] as number) : 0;
}

/** A chunk of a megabyte for each batch of a few rows would keep the collector busy, and fifty times the memory in hand. */
function chunkBytes(frame: Uint8Array): number {
  const said = saidBytes(frame);
  return said === 0 ? unknownSizeBytes : Math.min(largestChunkBytes, said + roomBytes);
}

/** `expectedBytes` 0 means unknown; otherwise it sizes the output at once (many small chunks cost a fifth of apply's speed) and bounds it. */
export const codec: Codec = {
  crc32c: nativeCrc32c() ?? plainCrc32c,
  compress: (bytes) => zstdCompressSync(bytes, compressOptions(bytes)),
  compressLater: (bytes) =>
    new Promise((resolve, reject) => {
      zstdCompress(bytes, compressOptions(bytes), (error, packed) => (error ? reject(error) : resolve(packed)));
    }),
  decompress: (bytes, expectedBytes) =>
    zstdDecompressSync(
      bytes,
      expectedBytes > 0 ? { chunkSize: expectedBytes + roomBytes, maxOutputLength: expectedBytes } : { chunkSize: chunkBytes(bytes) },
    ),
};
