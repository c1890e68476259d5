/** JSON documents: whatever JSON text can say, and what only SQL can put into one. */
import * as fc from 'fast-check';
import { half, quote, some, textOfBytes, utf8Literal, type ValueColumn, type ValueFamily } from './typed-values.ts';

/** Beyond numbers and texts, all of it escaped as a person or a library would write it. */
const odd = [
  '',
  ' ',
  '"',
  '\\',
  '/',
  '\u0001',
  '\u001f\u007f',
  '\u2028',
  'é',
  '😀',
  'a.b',
  '$',
  '0',
  '-1',
  '__proto__',
  'constructor',
  'toString',
  'ab',
  'B',
  'aa',
  'null',
  'NULL',
];
const text = fc.oneof(fc.constantFrom(...odd), fc.string({ unit: 'grapheme', maxLength: 12 })).filter((value) => !value.includes('\0'));
/** As text: a JavaScript number would round what the server keeps. */
const integerText = fc.oneof(
  fc.bigInt(-(2n ** 63n), 2n ** 64n - 1n),
  fc.integer({ min: -70_000, max: 70_000 }).map(BigInt),
  fc.constantFrom(
    0n,
    -1n,
    127n,
    128n,
    -128n,
    32_767n,
    32_768n,
    65_535n,
    65_536n,
    2_147_483_647n,
    2_147_483_648n,
    4_294_967_295n,
    2n ** 53n,
    2n ** 53n + 1n,
    2n ** 63n - 1n,
    -(2n ** 63n),
    2n ** 63n,
    2n ** 64n - 1n,
  ),
);
const doubleText = fc.double({ noNaN: true, noDefaultInfinity: true }).filter((value) => !Object.is(value, -0));
const scalar = fc.oneof(
  fc.constantFrom('null', 'true', 'false', '1.0', '0.1', '1e2', '1.5e-7', '1e300', '12345678901234567890', '-12345678901234567890', '0.0'),
  integerText.map(String),
  doubleText.map((value) => JSON.stringify(value)),
  text.map((value) => JSON.stringify(value)),
);
const { document } = fc.letrec<{ document: string }>((tie) => ({
  document: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.array(tie('document'), { maxLength: 5 }).map((items) => `[${items.join(', ')}]`),
    fc.dictionary(text, tie('document'), { maxKeys: 5 }).map(
      (entries) =>
        `{${Object.entries(entries)
          .map(([key, value]) => `${JSON.stringify(key)}:${value}`)
          .join(',')}}`,
    ),
  ),
}));

const nested = (depth: number) => `${'['.repeat(depth)}1${']'.repeat(depth)}`;
const wide = (count: number, value: (index: number) => string) =>
  `{${Array.from({ length: count }, (_, index) => `"key ${index}":${value(index)}`).join(',')}}`;
/** Sizes at which the binary form changes: the length of a text, two or four bytes of offsets, inlined or not. */
const textLengths = [1, 126, 127, 128, 129, 255, 256, 16_382, 16_383, 16_384, 16_385, 65_535, 65_536, 70_000];
const large = [
  ...textLengths.map((bytes) => JSON.stringify(textOfBytes(bytes))),
  ...[0, 1, 100, 3_000].map((count) => wide(count, String)),
  wide(2_000, (index) => JSON.stringify('x'.repeat(40 + (index % 7)))),
  `[${Array.from({ length: 20_000 }, (_, index) => index * 7).join(',')}]`,
  `[${'null,'.repeat(500)}true]`,
  nested(90),
  `{"a":${wide(3_000, () => '{"b":[1,2,3]}')},"z":1}`,
];

/** What has no spelling in JSON text: decimals, temporals, binary. */
const moment = fc.tuple(
  fc.integer({ min: 1, max: 9_999 }),
  fc.integer({ min: 1, max: 12 }),
  fc.integer({ min: 1, max: 28 }),
  fc.nat({ max: 23 }),
  fc.nat({ max: 59 }),
  fc.nat({ max: 999_999 }),
);
const pad = (value: number, width: number) => String(value).padStart(width, '0');
const opaque = [
  fc
    .tuple(fc.bigInt(-(10n ** 35n), 10n ** 35n), fc.nat({ max: 999_999_999 }))
    .map(([whole, fraction]) => `CAST('${whole}.${pad(fraction, 9)}' AS DECIMAL(65,9))`),
  fc.bigInt(-(10n ** 64n), 10n ** 64n).map((whole) => `CAST('${whole}' AS DECIMAL(65,0))`),
  moment.map(
    ([y, m, d, h, i, us]) => `CAST('${pad(y, 4)}-${pad(m, 2)}-${pad(d, 2)} ${pad(h, 2)}:${pad(i, 2)}:59.${pad(us, 6)}' AS DATETIME(6))`,
  ),
  moment.map(([y, m, d]) => `CAST('${pad(y, 4)}-${pad(m, 2)}-${pad(d, 2)}' AS DATE)`),
  fc
    .tuple(fc.constantFrom('', '-'), fc.nat({ max: 838 }), fc.nat({ max: 59 }), fc.nat({ max: 999_999 }))
    .map(([sign, h, i, us]) => `CAST('${sign}${pad(h, 2)}:${pad(i, 2)}:58.${pad(us, 6)}' AS TIME(6))`),
  fc.uint8Array({ maxLength: 70 }).map((bytes) => `CAST(X'${Buffer.from(bytes).toString('hex')}' AS BINARY)`),
  fc.bigInt(0n, 2n ** 64n - 1n).map((value) => `CAST(${value} AS UNSIGNED)`),
  text.map((value) => utf8Literal(value)),
];
const built = fc
  .array(fc.oneof(...opaque), { minLength: 1, maxLength: 4 })
  .map((items) => `JSON_OBJECT('list', JSON_ARRAY(${items.join(', ')}), 'first', ${items[0]})`);

/** Number texts with one spelling each, so that 1.0, 1 and 1e0 are one; -0 is not 0. */
function plainNumber(source: string): string {
  const [, minus = '', whole = '', fraction = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(source) ?? [];
  const digits = (whole + fraction).replace(/^0+/, '');
  if (digits === '') return `${minus}0`;
  const kept = digits.replace(/0+$/, '');
  return `${minus}${kept}e${Number(exponent) - fraction.length + digits.length - kept.length}`;
}

const tokens = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/**
 * A document to compare: no number rounded, no order of keys. Every text and number becomes a text without escapes first:
 * after a document with the key `\\`, Node 24.21 reads the key `"` of the next one as `\\`, and leaves out a reviver's `source`.
 */
function plainJson(json: string): unknown {
  return JSON.parse(
    json.replaceAll(tokens, (token) =>
      token.startsWith('"') ? `"text ${Buffer.from(String(JSON.parse(token))).toString('hex')}"` : `"number ${plainNumber(token)}"`,
    ),
  );
}

function jsonColumn(values: readonly string[]): ValueColumn {
  return {
    type: 'JSON',
    values,
    select: (c) => `HEX(CONVERT(CAST(${c} AS CHAR) USING utf8mb4))`,
    cell: (hex) => Buffer.from(hex, 'hex').toString('utf8'),
    shown: (hex) => plainJson(Buffer.from(hex, 'hex').toString('utf8')),
    readShown: plainJson,
  };
}

export const jsons = (): ValueFamily => ({
  name: 'json',
  columns: [
    jsonColumn(some(document).map(utf8Literal)),
    {
      ...jsonColumn([...large.map(quote), ...some(document, half).map(utf8Literal)]),
      lengths: textLengths,
      measure: (c) => `LENGTH(JSON_UNQUOTE(${c}))`,
    },
    jsonColumn(some(built, half)),
  ],
});

/** MariaDB's JSON is a text that somebody wrote, spaces and all. */
export const jsonTexts = (): ValueFamily => {
  const column = jsonColumn([...some(document), '{"b":1, "a" : 2 }', '[ 1.10, 1e2 ]', '{"é":"\u00e9"}'].map(utf8Literal));
  const text = (hex: string) => Buffer.from(hex, 'hex').toString('utf8');
  const show = (c: string) => `upper(encode(convert_to(${c}::text, 'UTF8'), 'hex'))`;
  return { name: 'json as text', columns: [{ ...column, cell: text, show, shown: (hex) => hex, readShown: (hex) => hex }] };
};
