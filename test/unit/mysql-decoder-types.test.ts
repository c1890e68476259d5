/** Byte vectors of the types that only one server has, or that ours cannot make; mysql-types*.test.ts has the others from real servers. */
import { deflateRawSync, deflateSync } from 'node:zlib';

import { describe, expect, test } from 'vitest';
import { InvalidValue, OversizedImage } from '../../connectors/mysql/values/bad-row.ts';
import { columnSchema, unsupported, wire, type BinlogColumn, type WireType } from '../../connectors/mysql/rows/columns.ts';
import { compileImage } from '../../connectors/mysql/rows/compile-image.ts';
import { compileSkipper } from '../../connectors/mysql/rows/compile-skip.ts';
import { JsonOut } from '../../connectors/mysql/values/row-out.ts';
import { isAmbiguous, settled } from '../../connectors/mysql/rows/mariadb-columns.ts';
import { parseTableMap } from '../../connectors/mysql/rows/table-map.ts';

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

function decode(columns: readonly BinlogColumn[], image: Buffer, out = new JsonOut()): string {
  expect(compileImage(columns, [])(image, 0, image.length, out)).toBe(image.length);
  expect(compileSkipper(columns)?.(image, 0, image.length)).toBe(image.length);
  return Buffer.from(out.slice(0, out.at - out.start)).toString('utf8');
}
const cell = (type: WireType, more: Partial<BinlogColumn>, hex: string): string =>
  decode([column(type, more)], bytes(`00${hex}`)).slice('{"v":'.length, -1);

/** A value with its length of so many bytes before it. */
const long = (value: Buffer, size: number): string => {
  const length = Buffer.alloc(size);
  length.writeUIntLE(value.length, 0, size);
  return Buffer.concat([length, value]).toString('hex');
};
const float = (...values: number[]) => Buffer.from(new Float32Array(values).buffer);

describe('one value', () => {
  test.each([
    [
      'geometry',
      wire.geometry,
      { size: 4 },
      '19000000 e6100000 0101000000 0000000000000040 000000000000f03f',
      '{"wkb":"AQEAAAAAAAAAAAAAQAAAAAAAAPA/","srid":4326}',
    ],
    ['geometry without SRID', wire.geometry, { size: 4 }, '0d000000 00000000 010700000000000000', '{"wkb":"AQcAAAAAAAAA","srid":null}'],
    [
      'geometry with the largest SRID',
      wire.geometry,
      { size: 4 },
      '0d000000 ffffffff 010700000000000000',
      '{"wkb":"AQcAAAAAAAAA","srid":4294967295}',
    ],
    ['geometry of no bytes, from a server without strict mode', wire.geometry, { size: 4 }, '00000000', '{"wkb":"","srid":null}'],
    ['vector', wire.vector, { size: 4 }, long(float(1, 2.5, -3), 4), '[1,2.5,-3]'],
    ['vector of edges', wire.vector, { size: 4 }, long(float(0, -0, 1e20, 1e-45, 0.1), 4), '[0,-0,100000000000000000000,1e-45,0.1]'],
    ['vector of MariaDB 11.7', wire.binaryVector, { size: 12 }, `0c${float(1.1, 16777216, -1e-7).toString('hex')}`, '[1.1,16777216,-1e-7]'],
    ['vector of MariaDB with more than 63 elements', wire.binaryVector, { size: 256 }, long(float(5), 2), '[5]'],
    ['uuid', wire.uuid, { size: 16 }, '10 00112233445566778899aabbccddeeff', '"00112233-4455-6677-8899-aabbccddeeff"'],
    ['uuid that lost its zeros', wire.uuid, { size: 16 }, '01 f0', '"f0000000-0000-0000-0000-000000000000"'],
    ['inet4', wire.inet4, { size: 4 }, '04 c0000201', '"192.0.2.1"'],
    ['inet4 of zeros', wire.inet4, { size: 4 }, '00', '"0.0.0.0"'],
    ['inet6', wire.inet6, { size: 16 }, '10 20010db8000000000000000000000001', '"2001:db8::1"'],
    ['inet6 of zeros', wire.inet6, { size: 16 }, '00', '"::"'],
    [
      'inet6 of the longest text',
      wire.inet6,
      { size: 16 },
      '10 fffffffffffffffffffffffffffffff1',
      '"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff1"',
    ],
    ['inet6 with IPv4 in it', wire.inet6, { size: 16 }, '10 00000000000000000000ffff01020304', '"::ffff:1.2.3.4"'],
    ['compressed, but kept as it is', wire.compressedVarchar, { size: 31, charset: 'latin1' }, '03 00 80 e9', '"€é"'],
    ['compressed and empty', wire.compressedVarchar, { size: 31, charset: 'utf8mb4' }, '00', '""'],
    [
      'compressed without a header',
      wire.compressedBlob,
      { size: 2, charset: 'utf8mb4' },
      long(packed('raw', 'ü'.repeat(100)), 2),
      `"${'ü'.repeat(100)}"`,
    ],
    [
      'compressed with a header, binary',
      wire.compressedBlob,
      { size: 3, charset: 'binary' },
      long(packed('zlib', '\0'.repeat(300)), 3),
      `"${'A'.repeat(400)}"`,
    ],
    ['old time', wire.oldTime, {}, '40e201', '"12:34:56"'],
    ['old time, negative', wire.oldTime, {}, 'c01dfe', '"-12:34:56"'],
    ['old time, the least', wire.oldTime, {}, '590a80', '"-838:59:59"'],
    ['old time of MariaDB with fraction', wire.oldTime, { size: 6 }, '02bf3dde7bff', '"-00:00:00.000001"'],
    ['old datetime', wire.oldDatetime, {}, '380ded68 6d120000', '"2026-11-21T10:11:12"'],
    ['old datetime, zero', wire.oldDatetime, {}, '0000000000000000', '"0000-00-00T00:00:00"'],
    ['old timestamp', wire.oldTimestamp, {}, '01000000', '"1970-01-01T00:00:01Z"'],
    ['old timestamp, zero', wire.oldTimestamp, {}, '00000000', '"0000-00-00T00:00:00Z"'],
    ['old timestamp of MariaDB with fraction', wire.oldTimestamp, { size: 3 }, '00000001 007b', '"1970-01-01T00:00:01.123Z"'],
  ] as const)('%s', (_, type, more, hex, expected) => {
    expect(cell(type, more, hex)).toBe(expected);
  });

  test.each([
    ['geometry without WKB', wire.geometry, { size: 4 }, '04000000 e6100000'],
    ['vector with a cut element', wire.vector, { size: 4 }, '03000000 000000'],
    ['vector with what is no number', wire.vector, { size: 4 }, long(float(Number.NaN), 4)],
    ['vector with infinity', wire.binaryVector, { size: 8 }, `04${float(Number.POSITIVE_INFINITY).toString('hex')}`],
    ['compressed by an unknown method', wire.compressedVarchar, { size: 31, charset: 'utf8mb4' }, '02 9100'],
    ['compressed with a length of no bytes', wire.compressedVarchar, { size: 31, charset: 'utf8mb4' }, '01 80'],
    ['compressed and cut', wire.compressedBlob, { size: 2, charset: 'binary' }, long(packed('zlib', 'a'.repeat(300)).subarray(0, 12), 2)],
    [
      'compressed and longer than it says',
      wire.compressedBlob,
      { size: 2, charset: 'binary' },
      long(packed('raw', 'a'.repeat(300), 299), 2),
    ],
    [
      'compressed and shorter than it says',
      wire.compressedBlob,
      { size: 2, charset: 'binary' },
      long(packed('raw', 'a'.repeat(300), 301), 2),
    ],
    ['compressed, not valid in its character set', wire.compressedVarchar, { size: 31, charset: 'utf8mb4' }, '02 00 ff'],
    ['old time beyond the range', wire.oldTime, {}, 'ffff7f'],
    ['old time with 99 minutes', wire.oldTime, {}, 'ac2600'],
    ['old datetime in month 13', wire.oldDatetime, {}, '38cfd8746d120000'],
    ['old datetime beyond the range', wire.oldDatetime, {}, 'ffffffffffffff00'],
    ['JSON that is none', wire.json, { size: 4 }, '01000000 0f'],
  ] as const)('%s is invalid', (_, type, more, hex) => {
    expect(() => cell(type, more, hex)).toThrow(InvalidValue);
  });

  test('a value that reaches beyond its event is damage, whatever lies behind', () => {
    for (const [type, more] of [
      [wire.enum, { size: 2, labels: ['a'] }],
      [wire.oldDatetime, {}],
    ] as const) {
      const image = compileImage([column(type, more)], []);
      expect(() => image(bytes('00ffffffffffffffffff'), 0, 2, new JsonOut())).toThrow(/cut/);
    }
  });

  test('what unpacks to more than a row may have is not unpacked', () => {
    const out = new JsonOut();
    out.mostBytes = 1000;
    const image = bytes(`00${long(packed('raw', 'a'.repeat(1001)), 2)}`);
    expect(() => decode([column(wire.compressedBlob, { size: 2, charset: 'utf8mb4' })], image, out)).toThrow(OversizedImage);
  });
});

/** As MariaDB stores it: 8 for zlib, how many bytes hold the length, the length, the data. */
function packed(form: 'raw' | 'zlib', text: string, says = Buffer.byteLength(text)): Buffer {
  const length = Buffer.from([says >> 8, says & 255]);
  return Buffer.concat([
    Buffer.from([0x80 + (form === 'raw' ? 8 : 0) + 2]),
    length,
    form === 'raw' ? deflateRawSync(Buffer.from(text)) : deflateSync(Buffer.from(text)),
  ]);
}

test('a hidden column is read over, wherever it stands', () => {
  const hidden = column(wire.longlong, { name: 'h', hidden: true });
  const shown = column(wire.tiny, { name: 'a' });
  expect(decode([hidden, shown, hidden], bytes('04 0102030405060708 05'))).toBe('{"a":5}');
  expect(decode([hidden, shown, hidden], bytes('01 05 0102030405060708'))).toBe('{"a":5}');
  expect(decode([shown, hidden], bytes('03'))).toBe('{"a":null}');
});

const collations = {
  charsetOf: new Map([
    [8, 'latin1'],
    [46, 'utf8mb4'],
    [63, 'binary'],
    [255, 'utf8mb4'],
  ]),
  maxBytesOf: new Map(),
  ofSpatial: false,
};
const parse = (hex: string) => {
  const map = bytes(`0178 00 0174 00 ${hex}`);
  return parseTableMap(map, 0, map.length, collations).columns;
};

describe('TABLE_MAP', () => {
  test('of MariaDB: compressed columns have a collation each, UUID and addresses look like BINARY', () => {
    const columns = parse(
      '0b03fefefefe8d8d8c8cfc0f11fe10fe04fe10fe101f002d010203041400fe0701010002093f04080608082e0908041b0269640175026934026936016201630276620174026d62016a0176080100',
    );
    expect(columns.map(({ name, type, size, charset }) => [name, type, size, charset])).toEqual([
      ['id', wire.long, 0, ''],
      ['u', wire.string, 16, 'binary'],
      ['i4', wire.string, 4, 'binary'],
      ['i6', wire.string, 16, 'binary'],
      ['b', wire.string, 16, 'binary'],
      ['c', wire.compressedVarchar, 31, 'latin1'],
      ['vb', wire.compressedVarchar, 301, 'binary'],
      ['t', wire.compressedBlob, 2, 'latin1'],
      ['mb', wire.compressedBlob, 3, 'binary'],
      ['j', wire.blob, 4, 'utf8mb4'],
      ['v', wire.varchar, 20, 'latin1'],
    ]);
    expect(columnSchema(columns[5] as BinlogColumn, 1)).toMatchObject({ kind: 'string', type: 'varchar(30)', length: 30 });
    expect(columnSchema(columns[6] as BinlogColumn, 1)).toMatchObject({ kind: 'bytes', type: 'varbinary(300)', length: 300 });
    expect(columnSchema(columns[8] as BinlogColumn, 1)).toMatchObject({ kind: 'bytes', type: 'mediumblob' });
    expect(columnSchema(columns[9] as BinlogColumn, 4)).toMatchObject({ kind: 'string', type: 'longtext' });
  });

  test('of MySQL: a vector has a collation and a number of elements, a spatial column its subtype', () => {
    const columns = parse(
      '0903fffffffff2f2fef509040404040404f70104f60101010002013f0704010002070d0403fc0008041602696401700167026c7302676301760276320165016a0a013f060502016101620801000c02ff80',
    );
    expect(columns.map((of) => columnSchema(of, 1).type)).toEqual([
      'int',
      'point',
      'geometry',
      'linestring',
      'geometrycollection',
      'vector(3)',
      'vector(2048)',
      'enum',
      'json',
    ]);
    expect(columns.map((of) => columnSchema(of, 1).kind).slice(5)).toEqual(['vector', 'vector', 'enum', 'json']);
    expect(columns.every((of) => unsupported(of, () => true) === undefined)).toBe(true);
  });
});

describe('what MariaDB leaves open', () => {
  const binary16 = column(wire.string, { size: 16, charset: 'binary' });
  const old = column(wire.oldTime);

  test.each([
    ['uuid', binary16, column(wire.uuid, { size: 16 }), { type: wire.uuid, size: 16, charset: '' }],
    ['inet6', binary16, column(wire.inet6, { size: 16 }), { type: wire.inet6 }],
    ['inet4 of today, but 16 bytes then', binary16, column(wire.inet4, { size: 4 }), binary16],
    ['binary', binary16, binary16, binary16],
    ['a column that is gone', binary16, undefined, binary16],
    [
      'text that is a uuid today',
      column(wire.string, { size: 16, charset: 'latin1' }),
      column(wire.uuid, { size: 16 }),
      { type: wire.string },
    ],
    ['vector', column(wire.varchar, { size: 12, charset: 'binary' }), column(wire.binaryVector, { size: 12 }), { type: wire.binaryVector }],
    [
      'vector of another length today',
      column(wire.varchar, { size: 8, charset: 'binary' }),
      column(wire.binaryVector, { size: 12 }),
      { type: wire.varchar },
    ],
    ['old time', old, column(wire.oldTime, { size: 3 }), { type: wire.oldTime, size: 3 }],
    ['old time in a table of today', old, column(wire.time, { size: 2 }), { type: wire.oldTime, size: 2 }],
    ['old time that is something else today', old, column(wire.datetime, { size: 2 }), { size: -1 }],
    ['old time that is gone', old, undefined, { size: -1 }],
    ['a hash that the server hides', column(wire.longlong, { name: 'DB_ROW_HASH_1' }), undefined, { hidden: true }],
    ['a column of that name', column(wire.longlong, { name: 'DB_ROW_HASH_1' }), column(wire.longlong), { type: wire.longlong }],
  ] as const)('%s', (_, binlog, now, expected) => {
    expect(settled(binlog, now)).toMatchObject(expected);
  });

  test('a fraction that nobody knows is refused; what is not ambiguous needs no description', () => {
    expect(unsupported(settled(old, undefined), () => true)).toMatch(/not known any more/);
    expect([binary16, old, column(wire.varchar, { size: 12, charset: 'binary' })].map(isAmbiguous)).toEqual([true, true, true]);
    expect(
      [column(wire.string, { size: 5, charset: 'binary' }), column(wire.blob, { size: 2, charset: 'binary' }), column(wire.time)].map(
        isAmbiguous,
      ),
    ).toEqual([false, false, false]);
  });
});

test('what is not of the closed list is refused, whether its type, its collation or its labels are unknown', () => {
  const knows = (name: string) => name === 'latin1';
  expect(unsupported(column(wire.unknown, { size: 200 }), knows)).toMatch(/200/);
  expect(unsupported(column(wire.varchar, { charset: 'latin1' }), knows)).toBeUndefined();
  expect(unsupported(column(wire.varchar, { charset: 'klingon' }), knows)).toMatch(/klingon/);
  expect(unsupported(column(wire.varchar), knows)).toMatch(/collation/);
  expect(unsupported(column(wire.enum, { charset: 'latin1' }), knows)).toMatch(/labels/);
  expect(unsupported(column(wire.enum, { labels: ['a'], charset: 'latin1' }), knows)).toBeUndefined();
});
