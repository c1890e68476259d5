/** Generated JSON documents as SQL expressions, with every kind of value that a MySQL document can hold. */
import * as fc from 'fast-check';

const hex = (text: string) => `_utf8mb4 X'${Buffer.from(text).toString('hex')}'`;
const pad = (value: number, width: number) => String(value).padStart(width, '0');

const awkward = [
  '',
  '__proto__',
  'constructor',
  'a"b',
  'back\\slash',
  'a.b',
  '$',
  '[0]',
  'ü',
  '日本',
  '😀',
  '\u0000',
  '\n\t\b\f\r',
  '\u007f',
  '/',
];
const text: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...awkward),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.string({ unit: fc.constantFrom('"', '\\', '\u0001', 'a', 'é'), maxLength: 200 }),
);

const day = fc
  .tuple(fc.integer({ min: 1, max: 9999 }), fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 28 }))
  .map(([y, m, d]) => `${pad(y, 4)}-${pad(m, 2)}-${pad(d, 2)}`);
const clock = fc
  .tuple(fc.nat({ max: 23 }), fc.nat({ max: 59 }), fc.nat({ max: 59 }), fc.nat({ max: 999_999 }))
  .map(([h, m, s, us]) => `${pad(h, 2)}:${pad(m, 2)}:${pad(s, 2)}.${pad(us, 6)}`);
const time = fc
  .tuple(fc.constantFrom('', '-'), fc.nat({ max: 838 }), fc.nat({ max: 59 }), fc.nat({ max: 58 }), fc.nat({ max: 999_999 }))
  .map(([sign, h, m, s, us]) => `${sign}${pad(h, 2)}:${pad(m, 2)}:${pad(s, 2)}.${pad(us, 6)}`);
const digit = fc.nat({ max: 9 }).map(String);
const decimal = fc
  .tuple(fc.constantFrom('', '-'), fc.string({ unit: digit, minLength: 1, maxLength: 35 }), fc.string({ unit: digit, maxLength: 30 }))
  .map(([sign, whole, fraction]) => `CAST('${sign}${whole}.${fraction}' AS DECIMAL(65,${fraction.length}))`);
/** MySQL takes a number with an exponent for a double at once. */
const double = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 }),
  fc.tuple(fc.integer({ min: -1e9, max: 1e9 }), fc.integer({ min: -30, max: 30 })).map(([digits, power]) => digits * 10 ** power),
  fc.integer({ min: -1022, max: 1023 }).map((power) => 2 ** power),
);
export const doubleSql = (value: number): string => (Object.is(value, -0) ? '-0e0' : value.toExponential());

const edges = [
  0n,
  1n,
  127n,
  128n,
  32767n,
  32768n,
  65535n,
  65536n,
  2147483647n,
  2147483648n,
  4294967295n,
  4294967296n,
  2n ** 53n,
  2n ** 63n - 1n,
];
const integer = fc.oneof(
  fc.constantFrom(...edges.flatMap((edge) => [edge, -edge, -edge - 1n]), 2n ** 63n, 2n ** 64n - 1n),
  fc.bigInt(-(2n ** 63n), 2n ** 64n - 1n),
  fc.bigInt(-70_000n, 70_000n),
);

export const scalar: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: text.map(hex) },
  { weight: 2, arbitrary: integer.map(String) },
  { weight: 2, arbitrary: double.map(doubleSql) },
  { weight: 2, arbitrary: decimal },
  fc.constantFrom('true', 'false', 'NULL', "CAST('null' AS JSON)", "CAST('[]' AS JSON)", "CAST('{}' AS JSON)"),
  day.map((value) => `DATE'${value}'`),
  time.map((value) => `TIME'${value}'`),
  fc.tuple(day, clock).map(([d, c]) => `TIMESTAMP'${d} ${c}'`),
  fc.uint8Array({ maxLength: 200 }).map((bytes) => `X'${Buffer.from(bytes).toString('hex')}'`),
);

const depth = { maxDepth: 5, depthSize: 'small' } as const;
const { document } = fc.letrec<{ document: string }>((tie) => ({
  document: fc.oneof(
    depth,
    { weight: 2, arbitrary: scalar },
    { weight: 2, arbitrary: fc.array(tie('document'), { maxLength: 8 }).map((items) => `JSON_ARRAY(${items.join(', ')})`) },
    {
      weight: 3,
      arbitrary: fc
        .array(fc.tuple(text, tie('document')), { maxLength: 8 })
        .map((members) => `JSON_OBJECT(${members.map(([key, value]) => `${hex(key)}, ${value}`).join(', ')})`),
    },
  ),
}));
/** A SQL expression whose value is a JSON document; most are objects or arrays. */
export const documentSql: fc.Arbitrary<string> = document.map((sql) =>
  sql.startsWith('JSON_') ? sql : `JSON_EXTRACT(JSON_ARRAY(${sql}), '$[0]')`,
);
