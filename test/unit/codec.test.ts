import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { codec, plainCrc32c } from '../../src/codec.ts';

test('CRC-32C by the vectors of RFC 3720, native and plain', () => {
  for (const crc32c of [(bytes: Uint8Array) => codec.crc32c(bytes), plainCrc32c]) {
    expect(crc32c(Buffer.from('123456789')) >>> 0).toBe(0xe3069283);
    expect(crc32c(Buffer.alloc(32)) >>> 0).toBe(0x8a9136aa);
    expect(crc32c(Buffer.alloc(32, 0xff)) >>> 0).toBe(0x62a8ab43);
    expect(crc32c(Buffer.from(Array.from({ length: 32 }, (_, i) => i))) >>> 0).toBe(0x46dd794e);
    expect(crc32c(new Uint8Array(0)) >>> 0).toBe(0);
  }
});

test('native and plain agree, on views too', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), fc.nat(50), (bytes, from) => {
      const view = bytes.subarray(Math.min(from, bytes.length));
      expect(codec.crc32c(view) >>> 0).toBe(plainCrc32c(view));
    }),
  );
});

test('zstd gives back what it got, and no more than was expected', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5000 }), fc.integer({ min: 0, max: 10_000 }), (bytes, expected) => {
      const packed = codec.compress(bytes);
      if (expected === 0 || expected >= bytes.length) expect(Buffer.from(codec.decompress(packed, expected)).equals(bytes)).toBe(true);
      else expect(() => codec.decompress(packed, expected)).toThrow(RangeError);
    }),
  );
});

test('what is decompressed without a word of its size takes no more memory than it needs, and is never cut', () => {
  for (const bytes of [1, 255, 256, 300, 65_791, 65_792, 100_000, 3_000_000, 20_000_000]) {
    const given = Buffer.alloc(bytes, 'row ');
    const plain = codec.decompress(codec.compress(given), 0);
    expect(Buffer.compare(plain, given), `${bytes} bytes`).toBe(0);
    // Small ones come out of Node's pool.
    expect(plain.buffer.byteLength, `${bytes} bytes`).toBeLessThanOrEqual(Math.max(Buffer.poolSize, bytes + 64));
  }
});
