/** Byte vectors of row values, made by the storage formats' own formulas; mysql-values.test.ts holds the decoder against a real server. */
import { describe, expect, test } from 'vitest';
import { InvalidValue } from '../../connectors/mysql/values/bad-row.ts';
import { compileImage } from '../../connectors/mysql/rows/compile-image.ts';
import { compileKey } from '../../connectors/mysql/rows/compile-key.ts';
import { compileSkipper } from '../../connectors/mysql/rows/compile-skip.ts';
import { wire, type BinlogColumn, type WireType } from '../../connectors/mysql/rows/columns.ts';
import { JsonOut } from '../../connectors/mysql/values/row-out.ts';
import { shortestFloat, writeDigits, writeInt, writeLong } from '../../connectors/mysql/values/values-number.ts';

const column = (type: WireType, more: Partial<BinlogColumn> = {}): BinlogColumn => ({
  name: 'v',
  type,
  size: 0,
  scale: 0,
  unsigned: false,
  nullable: true,
  charset: '',
  labels: [],
  ...more,
});
const bytes = (hex: string) => Buffer.from(hex.replace(/\s/g, ''), 'hex');

function decode(columns: readonly BinlogColumn[], image: Buffer): string {
  const out = new JsonOut();
  const end = compileImage(columns, [])(image, 0, image.length, out);
  expect(end).toBe(image.length);
  const skip = compileSkipper(columns);
  expect(skip?.(image, 0, image.length)).toBe(image.length);
  return Buffer.from(out.slice(0, out.at - out.start)).toString('utf8');
}
const cell = (type: WireType, more: Partial<BinlogColumn>, hex: string): string => {
  const text = decode([column(type, more)], bytes(`00${hex}`));
  return text.slice('{"v":'.length, -1);
};

describe('one value', () => {
  test.each([
    ['tinyint -1', wire.tiny, {}, 'ff', '-1'],
    ['tinyint unsigned', wire.tiny, { unsigned: true }, 'ff', '255'],
    ['smallint', wire.short, {}, '0080', '-32768'],
    ['mediumint', wire.int24, {}, '000080', '-8388608'],
    ['mediumint unsigned', wire.int24, { unsigned: true }, 'ffffff', '16777215'],
    ['int', wire.long, {}, '00000080', '-2147483648'],
    ['int unsigned', wire.long, { unsigned: true }, 'ffffffff', '4294967295'],
    ['bigint', wire.longlong, {}, '0000000000000080', '-9223372036854775808'],
    ['bigint -1', wire.longlong, {}, 'ffffffffffffffff', '-1'],
    ['bigint -2^32', wire.longlong, {}, '00000000ffffffff', '-4294967296'],
    ['bigint 2^53 + 1', wire.longlong, {}, '0100000000002000', '9007199254740993'],
    ['bigint unsigned', wire.longlong, { unsigned: true }, 'ffffffffffffffff', '18446744073709551615'],
    ['decimal(4,2) -1.50', wire.decimal, { size: 4, scale: 2 }, '7ecd', '"-1.50"'],
    ['decimal(14,4)', wire.decimal, { size: 14, scale: 4 }, '810dfb38d204d2', '"1234567890.1234"'],
    ['decimal(14,4) negative', wire.decimal, { size: 14, scale: 4 }, '7ef204c72dfb2d', '"-1234567890.1234"'],
    ['float 1.1', wire.float, { size: 4 }, 'cdcc8c3f', '1.1'],
    ['double -0', wire.double, { size: 8 }, '0000000000000080', '-0'],
    ['double 0.1', wire.double, { size: 8 }, '9a9999999999b93f', '0.1'],
    ['year 0000', wire.year, {}, '00', '0'],
    ['year', wire.year, {}, '7e', '2026'],
    ['date', wire.date, {}, '75d50f', '"2026-11-21"'],
    ['date zero', wire.date, {}, '000000', '"0000-00-00"'],
    ['time', wire.time, { size: 0 }, '80c8b8', '"12:34:56"'],
    ['time -00:01:00', wire.time, { size: 0 }, '7fffc0', '"-00:01:00"'],
    ['time(1) -0.5 s', wire.time, { size: 1 }, '7fffffce', '"-00:00:00.5"'],
    ['datetime', wire.datetime, { size: 0 }, '99bb6aa2cc', '"2026-11-21T10:11:12"'],
    ['datetime(6)', wire.datetime, { size: 6 }, '99bb6aa2cc01e240', '"2026-11-21T10:11:12.123456"'],
    ['timestamp', wire.timestamp, { size: 0 }, '00000001', '"1970-01-01T00:00:01Z"'],
    ['timestamp(3) zero', wire.timestamp, { size: 3 }, '000000000000', '"0000-00-00T00:00:00.000Z"'],
    ['bit(1)', wire.bit, { size: 1 }, '01', 'true'],
    ['bit(12)', wire.bit, { size: 12 }, '0abc', '"vAo="'],
    ['enum', wire.enum, { size: 1, labels: ['a', 'b,"c'] }, '02', '"b,\\"c"'],
    ['enum 0', wire.enum, { size: 1, labels: ['a'] }, '00', '""'],
    ['set', wire.set, { size: 1, labels: ['x', 'y', 'z'] }, '05', '"x,z"'],
    ['set empty', wire.set, { size: 1, labels: ['x'] }, '00', '""'],
    ['varchar', wire.varchar, { size: 80, charset: 'utf8mb4' }, '04 22c3bc0a', '"\\"ü\\n"'],
    ['varchar of more than 255 bytes', wire.varchar, { size: 256, charset: 'utf8mb4' }, '0100 61', '"a"'],
    ['char in latin1', wire.string, { size: 5, charset: 'latin1' }, '02 80e9', '"€é"'],
    ['binary(4), padded', wire.string, { size: 4, charset: 'binary' }, '01 ff', '"/wAAAA=="'],
    ['varbinary', wire.varchar, { size: 10, charset: 'binary' }, '03 000102', '"AAEC"'],
    ['text', wire.blob, { size: 2, charset: 'utf8mb3' }, '0300 e298 83', '"☃"'],
  ] as const)('%s', (_, type, more, hex, expected) => {
    expect(cell(type, more, hex)).toBe(expected);
  });

  test('NULL', () => {
    expect(decode([column(wire.varchar, { size: 10, charset: 'utf8mb4' })], bytes('01'))).toBe('{"v":null}');
  });

  test.each([
    ['overlong', 'c080'],
    ['a surrogate', 'eda080'],
    ['cut', 'e298'],
    ['beyond U+10FFFF', 'f4908080'],
    ['a stray continuation', '80'],
  ])('utf8 that is %s is invalid, short or long', (_, hex) => {
    const size = (hex.length / 2).toString(16).padStart(2, '0');
    expect(() => cell(wire.varchar, { size: 80, charset: 'utf8mb4' }, size + hex)).toThrow(InvalidValue);
    const long = Buffer.concat([Buffer.alloc(40_000, 0x61), bytes(hex)]);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(long.length);
    expect(() => decode([column(wire.blob, { size: 4, charset: 'utf8mb4' })], Buffer.concat([bytes('00'), length, long]))).toThrow(
      InvalidValue,
    );
  });

  test('a value that reaches beyond its event is damage, not memory of somebody else', () => {
    expect(() => cell(wire.varchar, { size: 80, charset: 'utf8mb4' }, '05 6162')).toThrow(/cut/);
    expect(() => cell(wire.long, {}, '0102')).toThrow(/cut/);
  });

  test('a number that no server stores is invalid: JSON has no text for it', () => {
    for (const hex of ['0000c07f', '0000c0ff', '0100807f', '0000807f', '000080ff'])
      expect(() => cell(wire.float, { size: 4 }, hex)).toThrow(InvalidValue);
    for (const hex of ['000000000000f87f', '000000000000f8ff', '010000000000f07f', '000000000000f07f', '000000000000f0ff'])
      expect(() => cell(wire.double, { size: 8 }, hex)).toThrow(InvalidValue);
    expect(cell(wire.float, { size: 4 }, 'ffff7f7f')).toBe('3.4028235e+38');
    expect(cell(wire.double, { size: 8 }, 'ffffffffffffef7f')).toBe('1.7976931348623157e+308');
  });

  test('decimals: every number of digits, in front of the point and behind it', () => {
    const sizes = [1, 1, 2, 2, 3, 3, 4, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 8];
    for (const [at, size] of sizes.entries()) {
      const digits = '987654321987654321'.slice(0, at + 1);
      const rest = digits.length % 9;
      // In front the digits that are left over come first, behind they come last.
      const groups = (count: number) => [rest, ...Array.from({ length: count }, () => 9)].filter((of) => of > 0);
      const front = groups(Math.floor(digits.length / 9));
      for (const [scale, widths] of [
        [0, front],
        [digits.length, front.toReversed()],
      ] as const) {
        const image = Buffer.alloc(size);
        let from = 0;
        let p = 0;
        for (const width of widths) {
          const bytes = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4][width] as number;
          image.writeUIntBE(Number(digits.slice(from, from + width)), p, bytes);
          from += width;
          p += bytes;
        }
        expect(p).toBe(size);
        image[0] = (image[0] as number) ^ 0x80;
        const text = scale === 0 ? digits : `0.${digits}`;
        const type = { size: digits.length, scale };
        expect(cell(wire.decimal, type, image.toString('hex'))).toBe(`"${text}"`);
        for (let index = 0; index < size; index += 1) image[index] = 0xff - (image[index] as number);
        expect(cell(wire.decimal, type, image.toString('hex'))).toBe(`"-${text}"`);
      }
    }
  });

  test.each([255, 256, 257, 0x1234, 65_535, 65_536, 196_608, 196_609, 400_000, 0x1020304])(
    'bytes and texts of %d bytes',
    { timeout: 30_000 },
    (size) => {
      // A length without a factor that the base of anything has.
      const value = Buffer.alloc(size, 'abcdefghijklmnopqrstuvwxyz0123456789 ');
      const types: [WireType, number, number][] = [
        [wire.blob, 4, 4],
        [wire.blob, 3, 3],
        [wire.blob, 2, 2],
        [wire.varchar, 65_535, 2],
        [wire.string, 1020, 2],
        [wire.varchar, 255, 1],
      ];
      for (const [type, most, prefix] of types) {
        if (size >= 256 ** prefix || (prefix === 2 && type === wire.string && size > most)) continue;
        const length = Buffer.alloc(prefix);
        length.writeUIntLE(size, 0, prefix);
        const image = Buffer.concat([Buffer.from([0]), length, value]);
        const of = (charset: string) => decode([column(type, { size: most, charset })], image);
        // Not by equality of such texts: a failure would print them.
        for (const charset of ['utf8mb4', 'latin1'] as const)
          expect(of(charset) === JSON.stringify({ v: value.toString('latin1') })).toBe(true);
        if (type !== wire.string) expect(of('binary') === JSON.stringify({ v: value.toString('base64') })).toBe(true);
      }
    },
  );

  test('a label that the definition does not have is invalid', () => {
    expect(() => cell(wire.enum, { size: 1, labels: ['a'] }, '02')).toThrow(InvalidValue);
    expect(() => cell(wire.set, { size: 1, labels: ['a'] }, '02')).toThrow(InvalidValue);
  });
});

describe('rows', () => {
  test('a key is written in key order from the values of the image', () => {
    const columns = [column(wire.tiny, { name: 'b' }), column(wire.varchar, { name: 'a"', size: 9, charset: 'utf8mb4' })];
    const out = new JsonOut();
    compileImage(columns, [1, 0])(bytes('00 05 01 78'), 0, 4, out);
    const from = out.at - out.start;
    compileKey(['a"', 'b'])(out);
    expect(Buffer.from(out.slice(0, from)).toString()).toBe('{"b":5,"a\\"":"x"}');
    expect(Buffer.from(out.slice(from, out.at - out.start)).toString()).toBe('{"a\\"":"x","b":5}');
  });

  test('rows that were handed out stay as they are when the buffer grows, and a row that spans two is whole', () => {
    const columns = [column(wire.long, { name: 'id' }), column(wire.blob, { name: 'body', size: 4, charset: 'utf8mb4' })];
    const image = compileImage(columns, [0]);
    const out = new JsonOut();
    const rows: { readonly view: Uint8Array; readonly expected: string }[] = [];
    for (let id = 0; id < 60; id += 1) {
      const text = '"é'.repeat(id * 700);
      const body = Buffer.from(text);
      const row = Buffer.alloc(9 + body.length);
      row.writeInt32LE(id, 1);
      row.writeUInt32LE(body.length, 5);
      body.copy(row, 9);
      image(row, 0, row.length, out);
      rows.push({ view: out.slice(0, out.at - out.start), expected: JSON.stringify({ id, body: text }) });
      out.commit();
    }
    for (const { view, expected } of rows) expect(Buffer.from(view).toString('utf8') === expected).toBe(true);
  });

  test('a type that nobody knows has no skipper: its rows cannot be counted', () => {
    expect(compileSkipper([column(wire.long), column(wire.unknown, { size: 200 })])).toBeUndefined();
  });
});

test('numbers: every count of digits, and shortest floats', () => {
  const w = Buffer.alloc(40);
  const text = (end: number) => w.toString('latin1', 0, end);
  for (const value of [0, 9, 10, 99, 100, 12345, 999_999, 1e6, 99_999_999, 1e8, 999_999_999, 1e9, 2 ** 31, 2 ** 32 - 1, -(2 ** 32)]) {
    expect(text(writeInt(w, 0, value))).toBe(String(value));
  }
  expect(text(writeDigits(w, 0, 42, 6))).toBe('000042');
  for (let bit = 0; bit < 64; bit += 1) {
    for (const value of [2n ** BigInt(bit), 2n ** BigInt(bit) - 1n]) {
      expect(text(writeLong(w, 0, Number(value & 0xffffffffn), Number(value >> 32n)))).toBe(String(value));
      const negative = BigInt.asIntN(64, -value);
      expect(text(writeLong(w, 0, Number(BigInt.asUintN(32, negative)), Number(BigInt.asIntN(32, negative >> 32n))))).toBe(
        String(negative),
      );
    }
  }
  expect([0.1, 1.1, 16777216, 3.4028234e38, 1e-45, 1e-38, 123456.7].map(Math.fround).map(shortestFloat)).toEqual([
    0.1, 1.1, 16777216, 3.4028235e38, 1e-45, 1e-38, 123456.7,
  ]);
});
