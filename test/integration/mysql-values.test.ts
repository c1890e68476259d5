/** The decoder against SELECT on the real server: numbers, times, bits, labels, and rows of many columns. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { quote, sample, ValueServer } from '../support/mysql-values.ts';

let server: ValueServer;
beforeAll(async () => {
  server = await ValueServer.open();
});
afterAll(() => server[Symbol.asyncDispose]());

const integer = (text: string) => {
  const value = BigInt(text);
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
};

const digits = (count: number) =>
  fc.string({ unit: fc.constantFrom('0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '0', '9'), minLength: count, maxLength: count });
const list = (labels: readonly string[]) => labels.map(quote).join(', ');
/** A number as SQL that MySQL takes for a double at once, not for a decimal. */
function doubleLiteral(value: number): string {
  if (Object.is(value, -0)) return '-0e0';
  return value === Math.trunc(value) && Math.abs(value) < 1e21 ? `${value}e0` : String(value);
}

test.each([
  ['TINYINT', 8],
  ['SMALLINT', 16],
  ['MEDIUMINT', 24],
  ['INT', 32],
  ['BIGINT', 64],
] as const)('G6: %s, signed and unsigned', async (type, bits) => {
  const edges = Array.from({ length: bits }, (_, bit) => [2n ** BigInt(bit), 2n ** BigInt(bit) - 1n, 2n ** BigInt(bit) + 1n]).flat();
  const powers = Array.from({ length: 20 }, (_, power) => [10n ** BigInt(power), 10n ** BigInt(power) - 1n]).flat();
  const half = 2n ** BigInt(bits - 1);
  const all = [...edges, ...powers, ...sample(fc.bigInt(0n, half * 2n - 1n))];
  const signed = [...all, ...all.map((value) => -value)].filter((value) => value >= -half && value < half);
  const unsigned = [...all, half * 2n - 1n, 0n].filter((value) => value < half * 2n);
  expect(await server.differences({ type, values: signed.map(String), expected: integer })).toEqual([]);
  expect(await server.differences({ type: `${type} UNSIGNED`, values: unsigned.map(String), expected: integer })).toEqual([]);
});

test.each([
  [1, 0],
  [5, 2],
  [9, 9],
  [10, 0],
  [18, 9],
  [19, 10],
  [30, 30],
  [38, 20],
  [65, 0],
  [65, 30],
])('G6: DECIMAL(%i,%i)', async (precision, scale) => {
  const values = sample(fc.tuple(fc.constantFrom('', '-'), fc.nat({ max: precision - scale }).chain(digits), digits(scale))).map(
    ([sign, whole, fraction]) => `${sign}${whole === '' ? '0' : whole}${scale > 0 ? `.${fraction}` : ''}`,
  );
  expect(
    await server.differences({
      type: `DECIMAL(${precision},${scale})`,
      values: ['0', '-0', '1e-30', '-1e-30', ...values],
      expected: String,
    }),
  ).toEqual([]);
});

test('G6: DOUBLE and FLOAT', async () => {
  const doubles = [
    0,
    -0,
    1,
    -1,
    1e21,
    1e-7,
    5e-324,
    1.7976931348623157e308,
    2 ** 53,
    2 ** 53 + 2,
    0.1,
    1 / 3,
    ...sample(fc.double({ noNaN: true, noDefaultInfinity: true })),
  ];
  expect(await server.differences({ type: 'DOUBLE', values: doubles.map(doubleLiteral), expected: Number, read: Number })).toEqual([]);
  const floats = [
    1.1,
    0.1,
    16777216,
    16777217,
    3.4028234e38,
    1e-45,
    123456.78,
    1 / 3,
    ...sample(fc.float({ noNaN: true, noDefaultInfinity: true })),
  ].map(Math.fround);
  expect(
    await server.differences({
      type: 'FLOAT',
      values: floats.map(doubleLiteral),
      select: '(v * 1e0)',
      read: Number,
      expected: (text) => {
        const value = Math.fround(Number(text));
        if (value === 0) return value;
        // The shortest of all texts that read back as this 32-bit number, found the slow way.
        for (let digits = 1; digits <= 9; digits += 1)
          if (Math.fround(Number(value.toPrecision(digits))) === value) return Number(value.toPrecision(digits));
        return value;
      },
    }),
  ).toEqual([]);
});

const pad = (value: number, width: number) => String(value).padStart(width, '0');
const clock = fc
  .tuple(fc.nat({ max: 23 }), fc.nat({ max: 59 }), fc.nat({ max: 59 }), fc.nat({ max: 999_999 }))
  .map(([h, m, s, us]) => `${pad(h, 2)}:${pad(m, 2)}:${pad(s, 2)}.${pad(us, 6)}`);
const day = fc
  .tuple(
    fc.oneof(fc.integer({ min: 0, max: 9999 }), fc.constantFrom(1, 50, 100, 1000, 9999)),
    fc.integer({ min: 1, max: 12 }),
    fc.integer({ min: 1, max: 28 }),
  )
  .map(([y, m, d]) => `${pad(y, 4)}-${pad(m, 2)}-${pad(d, 2)}`);

test('G6: DATE and YEAR', async () => {
  expect(
    await server.differences({
      type: 'DATE',
      values: ['0000-00-00', '2026-00-00', '2026-02-00', '0000-01-01', '9999-12-31', '2024-02-29', ...sample(day)].map(
        (text) => `'${text}'`,
      ),
      expected: String,
    }),
  ).toEqual([]);
  expect(
    await server.differences({
      type: 'YEAR',
      values: [
        '0',
        "'0000'",
        '1901',
        '2155',
        '2000',
        '1999',
        "'00'",
        '69',
        '70',
        ...sample(fc.integer({ min: 1901, max: 2155 })).map(String),
      ],
      expected: Number,
    }),
  ).toEqual([]);
});

test.each([0, 1, 2, 3, 4, 5, 6])('G6: TIME, DATETIME and TIMESTAMP with %i fraction digits', async (digits) => {
  const suffix = digits === 0 ? '' : `(${digits})`;
  const times = [
    '00:00:00',
    '-00:00:01',
    '-00:00:00.000001',
    '-00:01:00',
    '-01:00:00.000000',
    '838:59:59',
    '-838:59:59',
    '-838:59:58.999999',
    '00:00:00.9',
    '-12:34:56.5',
    '100:00:00',
  ];
  const more = sample(
    fc.tuple(fc.constantFrom('', '-'), fc.nat({ max: 838 }), fc.nat({ max: 59 }), fc.nat({ max: 58 }), fc.nat({ max: 999_999 })),
  );
  const all = [...times, ...more.map(([sign, h, m, s, us]) => `${sign}${pad(h, 2)}:${pad(m, 2)}:${pad(s, 2)}.${pad(us, 6)}`)];
  expect(await server.differences({ type: `TIME${suffix}`, values: all.map(quote), expected: String })).toEqual([]);
  const moments = [
    '0000-00-00 00:00:00',
    '2026-00-00 01:02:03.000004',
    '0000-01-01 00:00:00',
    '9999-12-31 23:59:59',
    ...sample(fc.tuple(day, clock)).map(([d, c]) => `${d} ${c}`),
  ];
  expect(
    await server.differences({ type: `DATETIME${suffix}`, values: moments.map(quote), expected: (text) => text.replace(' ', 'T') }),
  ).toEqual([]);
  const instants = sample(fc.tuple(fc.integer({ min: 1, max: 2 ** 31 - 2 }), fc.nat({ max: 999_999 }))).map(
    ([s, us]) => `${new Date(s * 1000).toISOString().slice(0, 19).replace('T', ' ')}.${pad(us, 6)}`,
  );
  const edges = ['0000-00-00 00:00:00', '1970-01-01 00:00:01', '2038-01-19 03:14:07', '2024-02-29 23:59:59.999', '2000-01-01 00:00:00'];
  expect(
    await server.differences({
      type: `TIMESTAMP${suffix}`,
      values: [...edges, ...instants].map(quote),
      expected: (text) => `${text.replace(' ', 'T')}Z`,
    }),
  ).toEqual([]);
});

test('G6: BIT', async () => {
  expect(
    await server.differences({ type: 'BIT(1)', values: ["b'0'", "b'1'"], select: '(v + 0)', expected: (text) => text === '1' }),
  ).toEqual([]);
  for (const bits of [2, 8, 9, 12, 33, 64]) {
    const bytes = Math.ceil(bits / 8);
    const values = sample(fc.bigInt(0n, 2n ** BigInt(bits) - 1n)).map((value) => `b'${value.toString(2)}'`);
    expect(
      await server.differences({
        type: `BIT(${bits})`,
        values,
        select: '(v + 0)',
        expected: (text) =>
          Buffer.from(
            BigInt(text)
              .toString(16)
              .padStart(bytes * 2, '0'),
            'hex',
          )
            .reverse()
            .toString('base64'),
      }),
    ).toEqual([]);
  }
});

test('G6: ENUM and SET, the invalid value and awkward labels too', async () => {
  const labels = ['a', 'b,c', "it''s", 'say "hi"', 'ü', 'back\\\\slash'];
  expect(
    await server.differences({
      type: `ENUM(${list(labels)})`,
      values: ["'a'", "'b,c'", '2', '3', '4', '5', '6', "'no such label'", "''"],
      expected: String,
    }),
  ).toEqual([]);
  const many = Array.from({ length: 300 }, (_, index) => `label ${index}`);
  expect(
    await server.differences({ type: `ENUM(${list(many)}) CHARACTER SET latin1`, values: ['1', '255', '256', '300'], expected: String }),
  ).toEqual([]);
  const options = labels.filter((label) => !label.includes(','));
  expect(
    await server.differences({
      type: `SET(${list(options)})`,
      values: Array.from({ length: 32 }, (_, bits) => String(bits)),
      expected: String,
    }),
  ).toEqual([]);
  expect(
    await server.differences({
      type: `SET(${list(many.slice(0, 64))})`,
      values: ['1', '9223372036854775808', '18446744073709551615', '0', ...sample(fc.bigInt(0n, 2n ** 64n - 1n)).map(String)],
      expected: String,
    }),
  ).toEqual([]);
});

test('G6: many columns of many types in one row, NULLs everywhere, generated and invisible columns', async () => {
  const columns = Array.from(
    { length: 40 },
    (_, index) => `c${index} ${['INT UNSIGNED', 'VARCHAR(20)', 'DATETIME(3)', 'DECIMAL(12,4)', "ENUM('x','y')"][index % 5]}`,
  );
  await server.sql.query(
    `CREATE TABLE wide (id BIGINT UNSIGNED PRIMARY KEY, ${columns.join(', ')}, total INT AS (id * 2) STORED, twice INT AS (id + 1) VIRTUAL, hidden INT INVISIBLE DEFAULT 5, KEY functional ((UPPER(c1))))`,
  );
  const source = server.source({ database: server.database.name, table: 'wide' });
  const start = await source.start();
  const values = (id: number) =>
    columns.map((_, index) =>
      (id + index) % 3 === 0 ? 'NULL' : [`${id}`, `'v${id}'`, "'2026-01-02 03:04:05.678'", '-1.5', "'y'"][index % 5],
    );
  for (let id = 0; id < 6; id += 1)
    await server.sql.query(
      `INSERT INTO wide (id, ${columns.map((_, index) => `c${index}`).join(', ')}) VALUES (${id}, ${values(id).join(', ')})`,
    );
  const rows = (await server.decode(source, start, 6)) as Record<string, unknown>[];
  for (const [id, row] of rows.entries()) {
    expect(row).toMatchObject({ id, total: id * 2, twice: id + 1, hidden: 5 });
    for (const [index] of columns.entries()) {
      const expected = (id + index) % 3 === 0 ? null : [id, `v${id}`, '2026-01-02T03:04:05.678', '-1.5000', 'y'][index % 5];
      expect(row[`c${index}`], `row ${id}, column ${index}`).toBe(expected);
    }
  }
  const [schema] = await source.schemas([{ database: server.database.name, table: 'wide' }]);
  expect(schema?.id).toBe(server.schemaId);
});
