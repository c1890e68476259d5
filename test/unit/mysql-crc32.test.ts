import { crc32 as reference } from 'node:zlib';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { crc32 } from '../../connectors/mysql/crc32.ts';

test("answers what the platform's does, from any place, of any length, behind anything", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 400 }),
      fc.nat(50),
      fc.nat(50),
      fc.integer({ min: 0, max: 0xffffffff }),
      (bytes, cut, skip, crc) => {
        const from = Math.min(skip, bytes.length);
        const end = Math.max(from, bytes.length - cut);
        expect(crc32(bytes, from, end, crc)).toBe(reference(bytes.subarray(from, end), crc));
      },
    ),
    { numRuns: 2000 },
  );
});
