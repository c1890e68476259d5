/** Every kind of column in every type that holds it exactly, with the values at the ends. */
import type { ColumnSchema, Value } from '../../src/core/change.ts';

/** Source column, type in the target, and what Postgres says (as text) to each value. */
export type Case = readonly [Partial<ColumnSchema>, string, readonly (readonly [Value, string])[]];

const same = (...texts: string[]): [string, string][] => texts.map((text) => [text, text]);
const numbers = (...values: (number | bigint)[]): [number | bigint, string][] => values.map((value) => [value, String(value)]);
const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
const point = '0101000000000000000000244000000000000034c0';
const polygon =
  '01030000000100000004000000000000000000000000000000000000000000000000000000000000000000f03f000000000000f03f000000000000f03f00000000000000000000000000000000';
const withSrid = (hex: string, srid: string) => `${hex.slice(0, 8)}20${srid}${hex.slice(10)}`;

const tinyEdges = numbers(-128, -1, 0, 1, 127);
const bigEdges = numbers(-(2n ** 63n), -(2n ** 53n) - 1n, -1, 0, 2n ** 53n + 1n, 2n ** 63n - 1n);
const unsignedEdges = numbers(0, 1, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n);
const digits65 = `${'9'.repeat(35)}.${'9'.repeat(30)}`;
const decimals = same(digits65, `-${digits65}`, `0.${'0'.repeat(29)}1`, `0.${'0'.repeat(30)}`);
const doubles: [number, string][] = [
  [-0, '-0'],
  [0, '0'],
  [5e-324, '5e-324'],
  [1.7976931348623157e308, '1.7976931348623157e+308'],
  [0.1, '0.1'],
  [-123456789.12345679, '-123456789.12345679'],
];
const floats: [number, string][] = [
  [-0, '-0'],
  [1.4e-45, '1e-45'],
  [3.4028235e38, '3.4028235e+38'],
  [0.1, '0.1'],
  [16_777_216, '1.6777216e+07'],
];
const texts = same(
  '',
  ' ',
  'x  ',
  'NULL',
  '\\N',
  '{}',
  '","',
  "it's",
  'tab\tand\nline\r',
  '😀',
  '\u{10FFFF}',
  '\\',
  '"',
  '\u0001\u007f\ufeff\ufffe',
);
const dates = same('0001-01-01', '0018-02-03', '0099-12-31', '1582-10-10', '1900-02-28', '2000-02-29', '2024-02-29', '9999-12-31');
const moments: [string, string][] = [
  ['0001-01-01T00:00:00.000000', '0001-01-01 00:00:00'],
  ['0099-12-31T23:59:59.999999', '0099-12-31 23:59:59.999999'],
  ['1969-12-31T23:59:59.000001', '1969-12-31 23:59:59.000001'],
  ['9999-12-31T23:59:59.999999', '9999-12-31 23:59:59.999999'],
];
const instants: [string, string][] = [
  ['1970-01-01T00:00:01.000000Z', '1970-01-01 00:00:01+00'],
  ['2026-03-29T01:30:00.100000Z', '2026-03-29 01:30:00.1+00'],
  ['2038-01-19T03:14:07.999999Z', '2038-01-19 03:14:07.999999+00'],
];
const spans: [string, string][] = [
  ['838:59:59.000000', '838:59:59'],
  ['-838:59:59.000000', '-838:59:59'],
  ['-00:00:00.000001', '-00:00:00.000001'],
  ['00:00:00.000000', '00:00:00'],
  ['-12:34:56.999999', '-12:34:56.999999'],
  ['23:59:59.999999', '23:59:59.999999'],
];
const json: [string, string][] = [
  ['null', 'null'],
  ['""', '""'],
  ['{"b": 1, "a": [1.10, -0.5, 1e-7]}', '{"a": [1.10, -0.5, 0.0000001], "b": 1}'],
  [`{"big": ${2n ** 64n - 1n}, "long": ${digits65}}`, `{"big": ${2n ** 64n - 1n}, "long": ${digits65}}`],
  ['"\\\\u0000 \\" 😀"', '"\\\\u0000 \\" 😀"'],
  ['{"__proto__": {"x": true}, "": "2026-01-01 00:00:00.000000"}', '{"": "2026-01-01 00:00:00.000000", "__proto__": {"x": true}}'],
  [`${'['.repeat(100)}${']'.repeat(100)}`, `${'['.repeat(100)}${']'.repeat(100)}`],
];
const uuids = same('00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '123e4567-e89b-12d3-a456-426655440000');
export const labels = ['ok', "o'clock", 'a,b', 'back\\slash', '"', 'ä😀'];

export const cases: readonly Case[] = [
  [{ bits: 8 }, 'smallint', tinyEdges],
  [{ bits: 8 }, 'real', tinyEdges],
  [
    { bits: 8, type: 'tinyint(1)' },
    'boolean',
    [
      [0, 'f'],
      [1, 't'],
    ],
  ],
  [{ bits: 8, unsigned: true }, 'smallint', numbers(0, 255)],
  [{ bits: 16 }, 'smallint', numbers(-32_768, 32_767)],
  [{ bits: 24, unsigned: true }, 'integer', numbers(0, 16_777_215)],
  [{ bits: 32 }, 'integer', numbers(-2_147_483_648, 2_147_483_647)],
  [{ bits: 32, unsigned: true }, 'bigint', numbers(0, 4_294_967_295)],
  [{ bits: 32 }, 'double precision', numbers(-2_147_483_648, 2_147_483_647)],
  [{ bits: 64 }, 'bigint', bigEdges],
  [{ bits: 64 }, 'numeric(19)', bigEdges],
  [{ bits: 64, unsigned: true }, 'numeric(20)', unsignedEdges],
  [{ bits: 64, unsigned: true }, 'numeric', unsignedEdges],
  [{ bits: 64, unsigned: true }, 'bigint', numbers(0, 2n ** 63n - 1n)],
  [{ bits: 64, unsigned: true }, 'text', unsignedEdges],
  [{ kind: 'decimal', precision: 65, scale: 30 }, 'numeric(65, 30)', decimals],
  [{ kind: 'decimal', precision: 65, scale: 30 }, 'numeric', decimals],
  [{ kind: 'decimal', precision: 65, scale: 30 }, 'text', [...decimals, ...same(`-0.${'0'.repeat(29)}1`)]],
  [{ kind: 'decimal', precision: 18, scale: 0 }, 'bigint', same('999999999999999999', '-999999999999999999')],
  [{ kind: 'double' }, 'double precision', doubles],
  [
    { kind: 'double' },
    'numeric',
    [
      [0.1, '0.1'],
      [5e-324, `0.${'0'.repeat(323)}5`],
      [1e21, '1000000000000000000000'],
    ],
  ],
  [{ kind: 'double' }, 'text', doubles],
  [{ kind: 'float' }, 'real', floats],
  [
    { kind: 'float' },
    'double precision',
    [
      [0.1, '0.1'],
      [-0, '-0'],
      [3.4028235e38, '3.4028235e+38'],
    ],
  ],
  [
    { kind: 'boolean', type: 'bit(1)' },
    'boolean',
    [
      [true, 't'],
      [false, 'f'],
    ],
  ],
  [
    { kind: 'boolean', type: 'bit(1)' },
    'smallint',
    [
      [true, '1'],
      [false, '0'],
    ],
  ],
  [
    { kind: 'boolean', type: 'bit(1)' },
    'bit(1)',
    [
      [true, '1'],
      [false, '0'],
    ],
  ],
  [
    { kind: 'bit', bits: 13 },
    'bit(13)',
    [
      [bytes('ff1f'), '1'.repeat(13)],
      [bytes('0100'), `${'0'.repeat(12)}1`],
    ],
  ],
  [
    { kind: 'bit', bits: 13 },
    'varbit',
    [
      [bytes('ff1f'), '1'.repeat(13)],
      [bytes('0000'), '0'.repeat(13)],
    ],
  ],
  [
    { kind: 'bit', bits: 13 },
    'smallint',
    [
      [bytes('ff1f'), '8191'],
      [bytes('0100'), '1'],
    ],
  ],
  [{ kind: 'bit', bits: 64 }, 'numeric(20)', [[bytes('ffffffffffffffff'), '18446744073709551615']]],
  [{ kind: 'bit', bits: 64 }, 'bytea', [[bytes('01000000000000ff'), '\\xff00000000000001']]],
  [{ kind: 'string', type: 'text' }, 'text', texts],
  [{ kind: 'string', type: 'varchar(40)', length: 40 }, 'varchar(40)', texts],
  [{ kind: 'string', type: 'char(36)', length: 36 }, 'uuid', uuids],
  [{ kind: 'string', type: 'longtext' }, 'jsonb', json],
  [{ kind: 'string', type: 'longtext' }, 'json', json.map(([text]) => [text, text])],
  [
    { kind: 'bytes', type: 'blob' },
    'bytea',
    [
      [bytes(''), '\\x'],
      [bytes('00ff5c27'), '\\x00ff5c27'],
    ],
  ],
  [
    { kind: 'bytes', type: 'binary(16)', length: 16 },
    'uuid',
    [[bytes('123e4567e89b12d3a456426655440000'), '123e4567-e89b-12d3-a456-426655440000']],
  ],
  [{ kind: 'date' }, 'date', dates],
  [{ kind: 'date' }, 'timestamp', dates.map(([text]) => [text, `${text} 00:00:00`])],
  [{ kind: 'date' }, 'varchar(10)', [...dates, ...same('0000-00-00', '2026-02-31')]],
  [{ kind: 'datetime', scale: 6 }, 'timestamp(6)', moments],
  [{ kind: 'datetime', scale: 0 }, 'timestamp(0)', [['2026-11-21T10:11:12', '2026-11-21 10:11:12']]],
  [{ kind: 'datetime', scale: 6 }, 'text', [...same('2026-11-21T10:11:12.000000', '0000-00-00T00:00:00.000000')]],
  [{ kind: 'timestamp', scale: 6 }, 'timestamptz', instants],
  [{ kind: 'timestamp', scale: 6 }, 'timestamp', instants.map(([value, text]) => [value, text.replace('+00', '')])],
  [{ kind: 'time', scale: 6 }, 'interval(6)', spans],
  [
    { kind: 'time', scale: 6 },
    'time(6)',
    [
      ['00:00:00.000000', '00:00:00'],
      ['23:59:59.999999', '23:59:59.999999'],
    ],
  ],
  [{ kind: 'time', scale: 6 }, 'varchar(17)', spans.map(([value]) => [value, value])],
  [{ kind: 'year' }, 'smallint', numbers(0, 1901, 2155)],
  [{ kind: 'enum', labels }, 'text', same(...labels, '')],
  [{ kind: 'enum', labels }, 'mood', same(...labels)],
  [{ kind: 'set', labels: ['a', 'b"c', 'd e'] }, 'text', same('', 'a', 'a,b"c,d e')],
  [
    { kind: 'set', labels: ['a', 'b"c', 'd e', 'NULL'] },
    'text[]',
    [
      ['', '{}'],
      ['a,b"c,d e,NULL', '{a,"b\\"c","d e","NULL"}'],
    ],
  ],
  [{ kind: 'json', type: 'json' }, 'jsonb', json],
  [{ kind: 'json', type: 'json' }, 'json', [...json.map(([text]) => [text, text] as const), ['"\\u0000"', '"\\u0000"']]],
  [{ kind: 'json', type: 'json' }, 'text', [...json.map(([text]) => [text, text] as const), ['"\\u0000"', '"\\u0000"']]],
  [
    { kind: 'geometry', type: 'point' },
    'bytea',
    [
      [{ wkb: bytes(point), srid: 0 }, `\\x${point}`],
      [{ wkb: bytes(point), srid: null }, `\\x${point}`],
      [{ wkb: bytes(point), srid: 4326 }, `\\x${withSrid(point, 'e6100000')}`],
      [
        { wkb: bytes('0000000001402400000000000040240000000000000'.padEnd(42, '0')), srid: 3857 },
        `\\x002000000100000f11${'402400000000000040240000000000000'.padEnd(32, '0').slice(0, 32)}`,
      ],
      [{ wkb: bytes(polygon), srid: 4326 }, `\\x${withSrid(polygon, 'e6100000')}`],
    ],
  ],
  [
    { kind: 'vector', type: 'vector(3)' },
    'real[]',
    [
      [[1.5, -0, 3.4028235e38], '{1.5,-0,3.4028235e+38}'],
      [[0.1, 1.4e-45, 7], '{0.1,1e-45,7}'],
    ],
  ],
  [{ kind: 'vector', type: 'vector(3)' }, 'double precision[]', [[[1.5, -2, 0.1], '{1.5,-2,0.1}']]],
  [{ kind: 'vector', type: 'vector(3)' }, 'bytea', [[[1.5, -2, 0.1], '\\x0000c03f000000c0cdcccc3d']]],
  [{ kind: 'vector', type: 'vector(3)' }, 'text', [[[1.5, -0, 0.1], '[1.5,-0,0.1]']]],
  [{ kind: 'uuid' }, 'uuid', uuids],
  [{ kind: 'uuid' }, 'varchar(36)', uuids],
  [{ kind: 'inet4' }, 'inet', same('0.0.0.0', '255.255.255.255', '10.0.0.1')],
  [{ kind: 'inet6' }, 'inet', same('::', '::1', '2001:db8::ff00:42:8329', '::ffff:192.168.0.1', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff')],
  [{ kind: 'inet6' }, 'text', same('2001:db8::ff00:42:8329')],
];
