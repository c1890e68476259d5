/** Binary JSON by bytes: what it prints, and that what no server stores is refused. mysql-json.test.ts of integration holds it against a server. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JsonOut } from '../../connectors/mysql/values/row-out.ts';
import { writeJson } from '../../connectors/mysql/json/json-text.ts';
import { int, lengthBytes, raw, treeBytes, treeText, type Tree } from '../support/json-bytes.ts';

const out = new JsonOut();
/** The document's text, undefined where it is refused. `spare`: bytes that are free behind the row at hand. */
function textOf(document: Buffer, spare = out.buf.length): string | undefined {
  out.at = out.buf.length - spare;
  out.start = out.at;
  const padded = Buffer.concat([Buffer.from('xyz'), document]);
  if (!writeJson(out, 40, padded, 3, padded.length)) return undefined;
  expect(out.buf.length - out.at).toBeGreaterThanOrEqual(40);
  return JSON.parse(Buffer.from(out.slice(0, out.at - out.start)).toString('utf8')) as string;
}
const hex = (text: string) => Buffer.from(text.replace(/\s/g, ''), 'hex');

describe('one document', () => {
  test.each([
    ['nothing at all: a column that INSERT IGNORE left empty', '', 'null'],
    ['null', '0400', 'null'],
    ['true', '0401', 'true'],
    ['false', '0402', 'false'],
    ['int16', '05 feff', '-2'],
    ['uint16', '06 ffff', '65535'],
    ['int32', '07 00000080', '-2147483648'],
    ['uint32', '08 ffffffff', '4294967295'],
    ['int64', '09 0000000000000080', '-9223372036854775808'],
    ['uint64', '0a ffffffffffffffff', '18446744073709551615'],
    ['double 1', '0b 000000000000f03f', '1.0'],
    ['double -0', '0b 0000000000000080', '-0.0'],
    ['double 1e15', '0b 00003426f56b0c43', '1e15'],
    ['a length in more bytes than it needs', '0c 8180808000 61', '"a"'],
    ['string with every kind of escape', '0c 0a 61225c0a01 7f2f c3bc 09', '"a\\"\\\\\\n\\u0001\u007f/ü\\t"'],
    ['empty object', '00 0000 0400', '{}'],
    ['empty array', '02 0000 0400', '[]'],
    ['object', '00 0100 0c00 0b00 0100 05 0100 61', '{"a": 1}'],
    ['object, large format', '01 01000000 14000000 13000000 0100 07 ffffffff 61', '{"a": -1}'],
    ['array, all that fits into an entry', '02 0300 0d00 040000 05ffff 06ffff', '[null, -1, 65535]'],
    ['decimal -1.50', '0f f6 04 0402 7ecd', '-1.50'],
    ['decimal 0.000000001', '0f f6 07 0a09 80 00000001', '0.000000001'],
    ['date', '0f 0a 08 000000 00006abb19', '"2026-11-21"'],
    ['datetime', '0f 0c 08 40e201 cca26abb19', '"2026-11-21 10:11:12.123456"'],
    ['timestamp', '0f 07 08 40e201 cca26abb19', '"2026-11-21 10:11:12.123456"'],
    ['zero datetime', '0f 0c 08 000000 0000000000', '"0000-00-00 00:00:00.000000"'],
    ['time', '0f 0b 08 000000 b8c8000000', '"12:34:56.000000"'],
    ['time beyond a day', '0f 0b 08 000000 fb6e340000', '"838:59:59.000000"'],
    ['time -00:00:00.000001', '0f 0b 08 ffffff ffffffffff', '"-00:00:00.000001"'],
    ['time -00:00:01', '0f 0b 08 000000 ffffffffff', '"-00:00:01.000000"'],
    ['bit', '0f 10 01 05', '"base64:type16:BQ=="'],
    ['year, as a column of it comes', '0f 0d 01 7e', '"base64:type13:fg=="'],
    ['blob without bytes', '0f fc 00', '"base64:type252:"'],
    ['any type that exists or not', '0f 63 03 000102', '"base64:type99:AAEC"'],
  ])('%s', (_, bytes, expected) => {
    expect(textOf(hex(bytes))).toBe(expected);
  });

  test('base64 is broken into lines of 76 characters, with no break at its end', () => {
    const opaque = (length: number) => Buffer.concat([hex('0f fc'), lengthBytes(length), Buffer.alloc(length)]);
    expect(textOf(opaque(57))).toBe(`"base64:type252:${'A'.repeat(76)}"`);
    expect(textOf(opaque(58))).toBe(`"base64:type252:${'A'.repeat(76)}\\nAA=="`);
    expect(textOf(opaque(114))).toBe(`"base64:type252:${'A'.repeat(76)}\\n${'A'.repeat(76)}"`);
  });

  test.each([
    [1e14, '100000000000000.0'],
    [1e15, '1e15'],
    [-1.25e300, '-1.25e300'],
    [1234567890123456.8, '1234567890123456.8'],
    [0.000001, '0.000001'],
    [1.5e-7, '0.00000015'],
    [1.5e-15, '0.0000000000000015'],
    [1.5e-16, '1.5e-16'],
    [5e-324, '5e-324'],
    [2147483648, '2147483648.0'],
    [-2147483648, '-2147483648.0'],
  ])('double %f', (value, expected) => {
    const document = Buffer.alloc(9, 11);
    document.writeDoubleLE(value, 1);
    expect(textOf(document)).toBe(expected);
  });

  test('values are found by their offsets, with holes between them, as updates in place leave them', () => {
    expect(textOf(hex('02 0200 1100 0c0d00 0c0f00 ffffff 0178 0179'))).toBe('["x", "y"]');
    expect(textOf(hex('02 0200 0e00 0c0c00 0c0a00 0178 0179'))).toBe('["y", "x"]');
  });

  test('as deep as the server allows, and not one level more', () => {
    const nested = (depth: number): Tree => (depth === 0 ? int(7) : [nested(depth - 1)]);
    for (const large of [false, true]) {
      expect(textOf(treeBytes(nested(100), large))).toBe(`${'['.repeat(100)}7${']'.repeat(100)}`);
      expect(textOf(treeBytes(nested(101), large))).toBeUndefined();
    }
  });
});

describe('G6: broken documents are refused', () => {
  test.each([
    ['an unknown type', '0d 00'],
    ['no value behind the type', '05 00'],
    ['bytes behind the value', '0400 00'],
    ['bytes behind the array', '02 0000 0400 00'],
    ['a literal that is none', '0403'],
    ['infinity', '0b 000000000000f07f'],
    ['not a number', '0b 000000000000f87f'],
    ['a string longer than the document', '0c 05 61'],
    ['a length without end', '0c ffffffffffffff'],
    ['text that is not UTF-8', '0c 02 c328'],
    ['a surrogate', '0c 03 eda080'],
    ['a key that is not UTF-8', '00 0100 0c00 0b00 0100 05 0100 ff'],
    ['an array larger than the document', '02 0000 0500'],
    ['more entries than bytes', '02 ffff 0400'],
    ['more entries than bytes, large', '03 ffffffff 08000000'],
    ['a key among the entries', '00 0100 0c00 0400 0100 05 0100 61'],
    ['a key beyond the end', '00 0100 0c00 0c00 0100 05 0100 61'],
    ['a value among the entries', '02 0100 0900 0c0000 0178'],
    ['an array inside that is smaller than its entries', '02 0200 1300 020a00 0c1100 0100 0400 040000 0178'],
    ['an array inside that is larger than the one around it', '02 0100 0b00 020700 0000 0900'],
    ['a string that leaves its array', '02 0100 1200 020700 0100 0900 0c0700 0378 7979'],
    ['a number that leaves its array', '02 0100 1600 020700 0100 0b00 090700 00000000 00000000'],
    ['two keys in the same place', '00 0200 1600 1200 0400 1200 0400 040000 040000 61626364'],
    ['a value beyond the end', '02 0100 0900 0c0a00 0178'],
    ['a value that points to its own array', '02 0100 0900 020000 0178'],
    ['two values in the same place', '02 0200 0c00 0c0a00 0c0a00 0178'],
    ['decimal without digits', '0f f6 02 0000'],
    ['decimal with another size', '0f f6 05 0402 7ecd00'],
    ['decimal whose group is too large', '0f f6 06 0900 ffffffff'],
    ['decimal with more scale than precision', '0f f6 03 0204 80'],
    ['date of seven bytes', '0f 0a 07 00000000006abb'],
    ['negative datetime', '0f 0c 08 000000 00000000ff'],
    ['minute 60 of a day', '0f 0c 08 000000 000f000000'],
    ['second 60 of a day', '0f 07 08 000000 3c00000000'],
    ['hour 24 of a day', '0f 0c 08 000000 0080010000'],
    ['a million microseconds of a day', '0f 0c 08 40420f 0000000000'],
    ['hour 839', '0f 0b 08 000000 0070340000'],
    ['minute 60', '0f 0b 08 000000 000f000000'],
    ['second 60', '0f 0b 08 000000 3c00000000'],
    ['a million microseconds', '0f 0b 08 40420f 0000000000'],
    ['an opaque value without a type', '0f'],
  ])('%s', (_, bytes) => {
    expect(textOf(hex(bytes))).toBeUndefined();
  });

  test('parts that are used again and again do not grow without end', () => {
    // Each array holds the next one twice: 2^60 values if places could be shared.
    const level = 4 + 2 * 3;
    const levels = 60;
    const document = Buffer.alloc(1 + levels * level + 4);
    document[0] = 2;
    for (let depth = 0; depth < levels; depth += 1) {
      const at = 1 + depth * level;
      document.writeUInt16LE(2, at);
      document.writeUInt16LE(document.length - at, at + 2);
      for (const entry of [at + 4, at + 7]) {
        document[entry] = 2;
        document.writeUInt16LE(level, entry + 1);
      }
    }
    document.writeUInt16LE(4, document.length - 2);
    expect(textOf(document)).toBeUndefined();
  });
});

const uint32 = (value: number): Tree => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return { type: 8, bytes, text: String(value) };
};
const blob = (value: Uint8Array): Tree => {
  const lines =
    Buffer.from(value)
      .toString('base64')
      .match(/.{1,76}/g) ?? [];
  return {
    type: 15,
    bytes: Buffer.concat([Buffer.from([252]), lengthBytes(value.length), value]),
    text: `"base64:type252:${lines.join('\\n')}"`,
  };
};

const scalar: fc.Arbitrary<Tree> = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 30 }),
  fc.constantFrom('__proto__', '', '"', '\\', '\u0000', 'x'.repeat(127), 'x'.repeat(128)),
  fc.integer().map(int),
  fc.nat({ max: 0xffffffff }).map(uint32),
  fc.uint8Array({ maxLength: 120 }).map(blob),
  fc.constantFrom(
    raw(6, 'ffff', '65535'),
    raw(4, '00', 'null'),
    raw(4, '01', 'true'),
    raw(4, '02', 'false'),
    raw(11, '000000000000e03f', '0.5'),
  ),
);
const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    scalar,
    fc.array(tie('tree'), { maxLength: 6 }),
    fc
      .array(fc.tuple(fc.oneof(fc.string({ unit: 'grapheme', maxLength: 9 }), fc.constant('__proto__')), tie('tree')), { maxLength: 6 })
      .map((members) => new Map(members)),
  ),
}));

describe('any document', () => {
  test('prints its tree, in the small format and the large one', () => {
    fc.assert(
      fc.property(tree, fc.boolean(), fc.nat({ max: 2000 }), (of, large, spare) => {
        expect(textOf(treeBytes(of, large), spare)).toBe(treeText(of));
      }),
      { numRuns: 2000 },
    );
  });

  test('however little is free behind the row at hand', () => {
    for (const length of [0, 1, 40, 200, 600])
      for (let spare = 0; spare < 1800; spare += 23)
        for (const of of [['\u0001'.repeat(length)], [blob(Buffer.alloc(length))], new Map([['"'.repeat(length), int(-30_000)]])])
          expect(textOf(treeBytes(of), spare)).toBe(treeText(of));
  });

  test('G6: cut anywhere it is refused', () => {
    fc.assert(
      fc.property(tree, fc.boolean(), fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), (of, large, where) => {
        const document = treeBytes(of, large);
        // Cut to nothing at all it would be the empty document.
        const size = 1 + Math.floor(where * (document.length - 1));
        expect(textOf(document.subarray(0, size))).toBeUndefined();
      }),
      { numRuns: 2000 },
    );
  });

  test('strings of any length, across the border to the ones that are measured first', () => {
    for (const length of [8191, 8192, 8193, 70_000, 600_000])
      for (const unit of ['a', '"', '\u0001', 'ü', '😀']) {
        const text = unit.repeat(Math.ceil(length / Buffer.byteLength(unit)));
        expect(textOf(treeBytes([text, text], true))).toBe(JSON.stringify([text, text]).replace('","', '", "'));
      }
  });

  test('more items than two bytes can count', () => {
    const many = Array.from({ length: 70_000 }, (_, index) => int(index));
    expect(textOf(treeBytes(many, true))).toBe(treeText(many));
  });
});
