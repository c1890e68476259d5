import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { readVarint, varintSize, writeVarint } from '../../src/core/varint.ts';

function encode(value: number): number[] {
  const buffer = Buffer.alloc(10);
  return [...buffer.subarray(0, writeVarint(buffer, 0, value))];
}

test('the examples of the protobuf documentation, zig-zag', () => {
  expect(encode(0)).toEqual([0]);
  expect(encode(-1)).toEqual([1]);
  expect(encode(1)).toEqual([2]);
  expect(encode(-64)).toEqual([127]);
  expect(encode(64)).toEqual([128, 1]);
  expect(encode(2 ** 31 - 1)).toEqual([254, 255, 255, 255, 15]);
  expect(encode(-(2 ** 31))).toEqual([255, 255, 255, 255, 15]);
});

test('every integer below 2^52 comes back, and its size is known before', () => {
  const buffer = Buffer.alloc(16);
  fc.assert(
    fc.property(fc.integer({ min: -(2 ** 52) + 1, max: 2 ** 52 - 1 }), (value) => {
      const end = writeVarint(buffer, 3, value);
      expect(end - 3).toBe(varintSize(value));
      const cursor = { at: 3 };
      expect(readVarint(buffer.subarray(0, end), cursor)).toBe(value);
      expect(cursor.at).toBe(end);
    }),
  );
});

test('a cut number and one beyond 2^53 throw', () => {
  expect(() => readVarint(Buffer.from([128, 128]), { at: 0 })).toThrow(RangeError);
  expect(() => readVarint(Buffer.from([]), { at: 0 })).toThrow(RangeError);
  expect(() => readVarint(Buffer.alloc(10, 255), { at: 0 })).toThrow(RangeError);
  expect(() => readVarint(Buffer.from([255, 255, 255, 255, 255, 255, 255, 127]), { at: 0 })).toThrow(RangeError);
});
