/** Rows are found again by their keys, whatever the keys' types: updates, changes of the key itself, deletes. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Mapping } from '../../src/core/sink-port.ts';
import { throughLog } from '../support/typed-log.ts';
import { imageOf, TypedValues, type Flavor } from '../support/typed-values.ts';

interface Key {
  readonly type: string;
  /** Four different keys: one is updated, one deleted, one becomes the fourth. */
  readonly values: readonly [string, string, string, string];
  readonly only?: Flavor;
  /** SQL at the source; by default a cast to characters. */
  readonly select?: string;
  /** SQL at the target; by default a cast to text. */
  readonly show?: string;
}

const hex = { select: 'LOWER(HEX(k))', show: `encode(k, 'hex')` };
const keys: readonly Key[] = [
  { type: 'BIGINT UNSIGNED', values: ['18446744073709551615', '9007199254740993', '0', '9007199254740992'] },
  { type: 'BIGINT', values: ['-9223372036854775808', '-1', '0', '9223372036854775807'] },
  { type: 'DECIMAL(30,10)', values: ['-0.0000000001', '12345678901234567890.5', '0', '99999999999999999999.9999999999'] },
  { type: 'FLOAT', values: ['1.1', '16777216', '-3.5e-30', '0.1'], show: `(k::float8)::text`, select: 'CAST(k * 1e0 AS CHAR)' },
  {
    type: 'DOUBLE',
    values: ['0.1', '1.7976931348623157e308', '5e-324', '-1e21'],
    select: 'CAST(k AS CHAR)',
    show: `replace(k::text, 'e+', 'e')`,
  },
  { type: 'VARCHAR(20) CHARACTER SET utf8mb4', values: ["'é😀'", "'a,b\"c\\\\d'", "''", "'NULL'"] },
  { type: 'VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin', values: ["'a'", "'A'", "'á'", "'b'"] },
  { type: 'CHAR(5) CHARACTER SET latin1', values: ["'é'", "'x  '", "''", "'\\n'"] },
  { type: 'BINARY(3)', values: ["X'01'", "X'0100ff'", "X''", "X'202020'"], ...hex },
  { type: 'VARBINARY(9)', values: ["X''", "X'00'", "X'5c'", "X'ff00'"], ...hex },
  { type: 'DATE', values: ["'0018-01-01'", "'2026-11-21'", "'9999-12-31'", "'1970-01-01'"] },
  {
    type: 'DATETIME(6)',
    values: ["'2026-11-21 01:02:03.000001'", "'2026-11-21 01:02:03.000002'", "'0099-01-01 00:00:00.5'", "'9999-12-31 23:59:59.999999'"],
    show: `to_char(k, 'YYYY-MM-DD HH24:MI:SS.US')`,
  },
  {
    type: 'TIMESTAMP(3)',
    values: ["'2026-11-21 01:02:03.001'", "'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'", "'2000-01-01 00:00:00.999'"],
    show: `to_char(k AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS')`,
  },
  {
    type: 'TIME',
    values: ["'-838:59:59'", "'00:00:01'", "'-00:00:01'", "'24:00:00'"],
    select: 'CAST(TIME_TO_SEC(k) AS CHAR)',
    show: 'extract(epoch FROM k)::bigint::text',
  },
  { type: 'YEAR', values: ["'0000'", '1901', '2155', '2026'], select: 'CAST(k + 0 AS CHAR)' },
  { type: "ENUM('b','a','c,d','ü')", values: ["'b'", "'a'", "'c,d'", "'ü'"] },
  { type: "SET('x','y','z')", values: ["'x'", "''", "'x,z'", "'y'"] },
  { type: 'BIT(9)', values: ["b'1'", "b'100000000'", "b'0'", "b'111111111'"], select: "LPAD(BIN(k + 0), 9, '0')" },
  {
    type: 'UUID',
    only: 'mariadb',
    values: [
      "'00000000-0000-0000-0000-000000000000'",
      "'123e4567-e89b-12d3-a456-426655440000'",
      "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
      "'123e4567-e89b-12d3-a456-426655440001'",
    ],
  },
  { type: 'INET6', only: 'mariadb', values: ["'::'", "'::ffff:1.2.3.4'", "'2001:db8::1'", "'fe80::1'"], show: 'host(k)' },
];

describe.each(['mysql', 'mariadb'] as const)('on %s', (flavor) => {
  let values: TypedValues;
  beforeAll(async () => {
    values = await TypedValues.open(flavor);
  });
  afterAll(() => values[Symbol.asyncDispose]());

  test('G6: a row is found again by its key, of whatever type', async () => {
    const here = keys.filter(({ only }) => only === undefined || only === flavor);
    for (const [index, { type }] of here.entries())
      await values.sql(`CREATE TABLE k${index} (k ${type} NOT NULL PRIMARY KEY, n INT) CHARACTER SET utf8mb4`);
    const names = here.map((_, index) => `k${index}`);
    const statements = here.flatMap(({ values: [one, two, three, four] }, index) => [
      `INSERT INTO k${index} VALUES (${one}, 1), (${two}, 2), (${three}, 3)`,
      `UPDATE k${index} SET n = 10 WHERE n = 1`,
      `DELETE FROM k${index} WHERE n = 2`,
      `UPDATE k${index} SET k = ${four} WHERE n = 3`,
    ]);
    const changes = await values.changes(names, statements, here.length * 6);
    for (const { key, oldKey, before, after } of changes) {
      expect(imageOf(key)).toEqual({ k: imageOf(after ?? before)['k'] });
      if (oldKey !== null) expect(imageOf(oldKey)).toEqual({ k: imageOf(before)['k'] });
    }
    const schemas = await values.source(...names).schemas(names.map(values.table));
    const mappings = schemas.map((schema): Mapping => ({
      source: schema.table,
      transforms: [],
      target: `public.${schema.table.table}`,
      options: {},
    }));
    const sink = await values.target.postgres.open(mappings);
    await values.target.propose(sink, schemas);
    for (const [index, schema] of schemas.entries()) {
      const own = changes.filter(({ schema: { table } }) => table.table === schema.table.table);
      // In small batches first, so that nothing is folded away before it reaches the target.
      const { applied } = await throughLog(own[0]?.schema ?? schema, own);
      await values.target.write(sink, index, applied, 1);
      const { type, select = 'CAST(k AS CHAR CHARACTER SET utf8mb4)', show = 'k::text' } = here[index] as Key;
      const left = await values.select(`SELECT ${select}, CAST(n AS CHAR) FROM k${index} ORDER BY n`);
      expect(await values.target.postgres.rows(`SELECT ${show}, n::text FROM k${index} t ORDER BY t.n`), type).toEqual(left);
      expect(left).toHaveLength(2);
    }
  });
});
