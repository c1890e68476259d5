/** Numbers of every width, their edges first. */
import * as fc from 'fast-check';
import { half, perColumn, some, type ValueColumn, type ValueFamily } from './typed-values.ts';

const integer = (text: string) => {
  const value = BigInt(text);
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
};
const same = (text: string) => text;

/** Powers of two and of ten and their neighbours, as far as the type goes. */
function integerColumn(type: string, bits: number, unsigned: boolean, count = half): ValueColumn {
  const [low, high] = unsigned ? [0n, 2n ** BigInt(bits) - 1n] : [-(2n ** BigInt(bits - 1)), 2n ** BigInt(bits - 1) - 1n];
  const powers = Array.from({ length: 65 }, (_, power) => [2n ** BigInt(power), 10n ** BigInt(power % 20)]).flat();
  const near = powers.flatMap((power) => [power - 1n, power, power + 1n]);
  const edges = [...new Set([low, high, 0n, ...near, ...near.map((value) => -value)])].filter((value) => value >= low && value <= high);
  const values = [...edges, ...some(fc.bigInt(low, high), count)].map(String);
  return { type, values, select: (c) => `CAST(${c} + 0 AS CHAR)`, cell: integer, shown: same };
}

const widths = [
  ['TINYINT', 8],
  ['SMALLINT', 16],
  ['MEDIUMINT', 24],
  ['INT', 32],
  ['BIGINT', 64],
] as const;

export const integers = (): ValueFamily => ({
  name: 'integers',
  columns: [
    ...widths.map(([type, bits]) => integerColumn(type, bits, false)),
    ...widths.slice(0, 4).map(([type, bits]) => integerColumn(`${type} UNSIGNED`, bits, true)),
    integerColumn('TINYINT(1)', 8, false),
    integerColumn('INT(9) ZEROFILL', 32, true),
    integerColumn('BOOLEAN', 8, false),
  ],
});

export const unsignedBigints = (): ValueFamily => ({
  name: 'unsigned bigint',
  columns: [integerColumn('BIGINT UNSIGNED', 64, true, perColumn), integerColumn('BIGINT(20) ZEROFILL', 64, true, perColumn)],
});

const digits = (count: number) =>
  fc.string({ unit: fc.constantFrom('0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '0', '9'), minLength: count, maxLength: count });

function decimalColumn(precision: number, scale: number, unsigned = false, count = half): ValueColumn {
  const spelled = (whole: string, fraction: string) => `${whole === '' ? '0' : whole}${scale > 0 ? `.${fraction}` : ''}`;
  const whole = fc.nat({ max: precision - scale }).chain(digits);
  const positive = some(
    fc.tuple(whole, digits(scale)).map(([left, right]) => spelled(left, right)),
    count,
  );
  const largest = spelled('9'.repeat(precision - scale), '9'.repeat(scale));
  const smallest = spelled('', scale > 0 ? `${'0'.repeat(scale - 1)}1` : '');
  const one = precision > scale ? ['1', '10', spelled('1', '0'.repeat(scale))] : [];
  const magnitudes = ['0', spelled('', '0'.repeat(scale)), smallest, largest, ...one, ...positive];
  const signed = magnitudes.flatMap((text, index) =>
    unsigned ? [text] : index < 8 ? [text, `-${text}`] : [index % 2 === 0 ? text : `-${text}`],
  );
  return { type: `DECIMAL(${precision},${scale})${unsigned ? ' UNSIGNED' : ''}`, values: signed, cell: same, shown: same };
}

const shapes = [
  [1, 0],
  [1, 1],
  [5, 2],
  [9, 9],
  [10, 0],
  [18, 9],
  [19, 10],
  [30, 30],
  [38, 20],
  [65, 0],
  [65, 30],
] as const;

export const decimals = (): ValueFamily => ({
  name: 'decimal',
  columns: [...shapes.map(([precision, scale]) => decimalColumn(precision, scale)), decimalColumn(12, 2, true)],
});

/** Digits lie in groups of nine, and what is left over in fewer bytes: each number of digits, in front of the point and behind. */
export const decimalDigits = (): ValueFamily => ({
  name: 'decimal of every number of digits',
  columns: Array.from({ length: 18 }, (_, at) => at + 1).flatMap((count) =>
    [0, count].map((scale) => decimalColumn(count, scale, false, Math.ceil(perColumn / 20))),
  ),
});

/** A number as SQL that the server takes for a double at once, not for a decimal. */
function doubleLiteral(value: number): string {
  if (Object.is(value, -0)) return '-0e0';
  return value === Math.trunc(value) && Math.abs(value) < 1e21 ? `${value}e0` : String(value);
}

const doubleEdges = [
  0,
  -0,
  1,
  -1,
  0.1,
  1 / 3,
  1e21,
  1e-7,
  5e-324,
  2.2250738585072014e-308,
  1.7976931348623157e308,
  2 ** 53,
  2 ** 53 + 2,
  2 ** 63,
  2 ** 64,
];
const floatEdges = [0, -0, 1.1, 0.1, 16777216, 16777217, 16777220, 3.4028234e38, 1.17549435e-38, 1e-45, 123456.78, 8388608.5, 1 / 3, 1e10];

/** The shortest of all texts that read back as this 32-bit number, found the slow way. */
export function shortestFloat(given: number): number {
  const value = Math.fround(given);
  if (value === 0) return value;
  for (let count = 1; count <= 9; count += 1)
    if (Math.fround(Number(value.toPrecision(count))) === value) return Number(value.toPrecision(count));
  return value;
}

const numberOf = (cell: unknown) => Number(cell);
const doubleColumn = (type: string, values: readonly number[]): ValueColumn => ({
  type,
  values: [...values, ...values.map((value) => -value)].filter((value) => !type.includes('UNSIGNED') || value > 0).map(doubleLiteral),
  cell: Number,
  readCell: numberOf,
  shown: Number,
  readShown: Number,
});
/** Without the multiplication the server's own text has six digits. */
const floatColumn = (type: string, values: readonly number[]): ValueColumn => ({
  ...doubleColumn(type, values.map(Math.fround)),
  select: (c) => `CAST(${c} * 1e0 AS CHAR)`,
  cell: (text) => shortestFloat(Number(text)),
  // Of several shortest texts of one number Postgres prints another than we write.
  shown: (text) => Math.fround(Number(text)),
  readShown: (text) => Math.fround(Number(text)),
});

export const floats = (): ValueFamily => {
  const doubles = [...doubleEdges, ...some(fc.double({ noNaN: true, noDefaultInfinity: true }), half)];
  const singles = [...floatEdges, ...some(fc.float({ noNaN: true, noDefaultInfinity: true }), half)];
  const everyday = some(
    fc.integer({ min: 0, max: 99_999_999 }).map((cents) => cents / 100),
    half,
  );
  return {
    name: 'float and double',
    columns: [
      doubleColumn('DOUBLE', doubles),
      doubleColumn('DOUBLE UNSIGNED', doubles),
      // The server rounds such a number its own way, and its text shows less than it stores.
      { ...doubleColumn('DOUBLE(12,2)', everyday), select: (c) => `CAST(${c} * 1e0 AS CHAR)` },
      floatColumn('FLOAT', singles),
      floatColumn('FLOAT UNSIGNED', singles),
      floatColumn('FLOAT', everyday),
      floatColumn('FLOAT(9,2)', everyday),
      doubleColumn('FLOAT(53)', doubles),
    ],
  };
};

/** Base64 of the bits in the order that Debezium gives them: the lowest eight first. */
function bitColumn(bits: number): ValueColumn {
  const largest = 2n ** BigInt(bits) - 1n;
  const single = Array.from({ length: bits }, (_, bit) => 2n ** BigInt(bit));
  const values = [0n, largest, ...single, ...some(fc.bigInt(0n, largest), half)].map((value) => `b'${value.toString(2)}'`);
  const bytes = (text: string) => Array.from({ length: Math.ceil(bits / 8) }, (_, at) => Number((BigInt(text) >> BigInt(at * 8)) & 255n));
  const cell = (text: string) => (bits === 1 ? text === '1' : Buffer.from(bytes(text)).toString('base64'));
  const shown = (text: string) => (bits === 1 ? (text === '1' ? 'true' : 'false') : BigInt(text).toString(2).padStart(bits, '0'));
  return { type: `BIT(${bits})`, values, select: (c) => `CAST(${c} + 0 AS CHAR)`, cell, shown };
}

export const bits = (): ValueFamily => ({ name: 'bit', columns: [1, 2, 7, 8, 9, 12, 16, 24, 33, 63, 64].map(bitColumn) });
