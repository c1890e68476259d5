/** The checksum and the compression that core's record batches are handed: native where the platform has it. */
import { createRequire } from 'node:module';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
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

const compressOptions = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };
const unknownSizeBytes = 1024 * 1024;

/** `expectedBytes` 0 means unknown; otherwise it sizes the output at once (many small chunks cost a fifth of apply's speed) and bounds it. */
export const codec: Codec = {
  crc32c: nativeCrc32c() ?? plainCrc32c,
  compress: (bytes) => zstdCompressSync(bytes, compressOptions),
  decompress: (bytes, expectedBytes) =>
    zstdDecompressSync(
      bytes,
      expectedBytes > 0 ? { chunkSize: expectedBytes + 64, maxOutputLength: expectedBytes } : { chunkSize: unknownSizeBytes },
    ),
};
