/** JSON columns against SELECT on the real server: the text in the log is the server's own, character for character. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { documentSql, doubleSql } from '../support/mysql-json.ts';
import { sample, ValueServer } from '../support/mysql-values.ts';

let server: ValueServer;
beforeAll(async () => {
  server = await ValueServer.open();
});
afterAll(() => server[Symbol.asyncDispose]());

const differences = (values: readonly string[]) => server.differences({ type: 'JSON', values, expected: String });

test('G6: generated JSON documents with every kind of value', async () => {
  expect(await differences(sample(documentSql, 4000))).toEqual([]);
});

test('G6: doubles in JSON, where the server changes to an exponent and elsewhere', async () => {
  const powers = Array.from({ length: 632 }, (_, power) => [
    `1e${power - 323}`,
    `-1.2345e${power - 323}`,
    `9.999999999999999e${power - 324}`,
  ]).flat();
  const twos = Array.from({ length: 2098 }, (_, power) => doubleSql(2 ** (power - 1074)));
  const any = sample(fc.double({ noNaN: true, noDefaultInfinity: true }), 3000).map(doubleSql);
  const whole = sample(fc.maxSafeInteger(), 500).map(doubleSql);
  const all = [...powers, ...twos, ...any, ...whole, '0e0', '-0e0', '1.7976931348623157e308'].filter(
    (text) => Math.abs(Number(text)) !== Infinity,
  );
  const arrays = Array.from(
    { length: Math.ceil(all.length / 20) },
    (_, index) => `JSON_ARRAY(${all.slice(index * 20, index * 20 + 20).join(', ')})`,
  );
  expect(await differences(arrays)).toEqual([]);
});

test('G6: columns of every type inside JSON, as base64 or as text', async () => {
  const types = [
    ...['TINYINT', 'BIGINT UNSIGNED', 'DECIMAL(30,10)', 'FLOAT', 'DOUBLE', 'BIT(1)', 'BIT(12)', 'YEAR', 'BOOLEAN'].map((type) => [
      type,
      '1',
    ]),
    ...['DATE', 'DATETIME(6)', 'TIMESTAMP(3)'].map((type) => [type, "'2026-11-21 10:11:12.123456'"]),
    ['DATE', "'0000-00-00'"],
    ['DATETIME', "'2026-00-00 01:02:03'"],
    ['TIME(6)', "'-838:59:58.999999'"],
    ["ENUM('a','ü')", "'ü'"],
    ["SET('a','b')", "'a,b'"],
    ...['CHAR(9)', 'VARCHAR(9) CHARACTER SET latin1', 'TEXT', 'TINYTEXT', 'LONGTEXT'].map((type) => [type, "'ü\"'"]),
    ...['BINARY(9)', 'VARBINARY(9)', 'BLOB', 'TINYBLOB', 'MEDIUMBLOB', 'LONGBLOB'].map((type) => [type, "X'00ff80'"]),
    ['GEOMETRY', "ST_GeomFromText('POINT(1 2)')"],
    ['JSON', `'{"__proto__": [1.0, -0]}'`],
  ] as const;
  await server.sql.query(`CREATE TABLE typed (${types.map(([type], index) => `c${index} ${type} NULL`).join(', ')})`);
  await server.sql.query(`INSERT INTO typed VALUES (${types.map(([, value]) => value).join(', ')})`);
  const each = types.map((_, index) => `(SELECT JSON_OBJECT('c', c${index}) FROM typed)`);
  const all = `(SELECT JSON_ARRAY(${types.map((_, index) => `c${index}`).join(', ')}) FROM typed)`;
  const raw = types.flatMap(([type], index) => (/BLOB|BINARY|BIT/.test(type) ? [`(SELECT CAST(c${index} AS JSON) FROM typed)`] : []));
  expect(await differences([...each, all, ...raw])).toEqual([]);
});

test('G6: documents in the large format, of the greatest depth, with long keys, and around every length of a length', async () => {
  const deep = (open: string, close: string, depth: number) => `CONCAT(REPEAT('${open}', ${depth}), '1', REPEAT('${close}', ${depth}))`;
  const text = (length: number) => `REPEAT('x', ${length})`;
  const lengths = [0, 1, 126, 127, 128, 16_383, 16_384, 65_535, 65_536, 2_097_151, 2_097_152];
  const lengthy = lengths.flatMap((length) => [
    `JSON_QUOTE(${text(length)})`,
    `JSON_ARRAY(1, ${text(length)}, 2)`,
    `JSON_ARRAY(CAST(${text(length)} AS BINARY))`,
  ]);
  const borders = Array.from({ length: 40 }, (_, index) => `JSON_ARRAY(${text(65_500 + index)}, 70000, -1)`);
  const numbers = 'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %) SELECT';
  const many = (count: number, sql: string) => `(${numbers.replace('%', String(count))} ${sql} FROM n)`;
  await server.sql.query('SET SESSION cte_max_recursion_depth = 200000');
  expect(
    await differences([
      deep('[', ']', 100),
      deep('{"a":', '}', 100),
      deep('[{"":', '}]', 50),
      ...lengthy,
      ...borders,
      ...[100, 20_000, 70_000].map((count) =>
        many(count, "JSON_ARRAYAGG(CASE i % 5 WHEN 0 THEN i WHEN 1 THEN i * 100000 WHEN 2 THEN i * 1e0 WHEN 3 THEN 'ü' ELSE NULL END)"),
      ),
      ...[100, 10_000, 70_000].map((count) => many(count, "JSON_OBJECTAGG(CONCAT('key ', i), IF(i % 2, i, JSON_ARRAY(i)))")),
      `JSON_OBJECT(${text(65_535)}, 1, 'b', JSON_OBJECT('c', ${text(70_000)}))`,
      `JSON_ARRAY(JSON_ARRAY(JSON_ARRAY(${text(70_000)}, 32767, 32768, 65535, 65536, -32768, -32769)), 32768)`,
    ]),
  ).toEqual([]);
});

test('G6: a column that INSERT IGNORE left without a document is null, as SELECT says', async () => {
  await server.sql.query('CREATE TABLE emptied (id INT PRIMARY KEY, j JSON NOT NULL)');
  const source = server.source({ database: server.database.name, table: 'emptied' });
  const start = await source.start();
  await server.sql.query('INSERT IGNORE INTO emptied (id) VALUES (1)');
  const [[selected]] = (await server.sql.query('SELECT CAST(j AS CHAR) AS j FROM emptied')) as unknown as [{ j: string }[]];
  expect(await server.decode(source, start, 1)).toEqual([{ id: 1, j: selected?.j }]);
  expect(selected?.j).toBe('null');
});

test('G6: a table with a multi-valued index on its documents', async () => {
  await server.sql.query(
    "CREATE TABLE tagged (id INT PRIMARY KEY, j JSON, n INT, KEY tags ((CAST(j->'$.tags' AS UNSIGNED ARRAY))), KEY names ((CAST(j->'$.names' AS CHAR(20) ARRAY))), KEY lower ((CAST(j->>'$.u' AS CHAR(9)))))",
  );
  const source = server.source({ database: server.database.name, table: 'tagged' });
  const start = await source.start();
  await server.sql.query(`INSERT INTO tagged VALUES (1, '{"tags": [3, 4], "names": ["x"], "u": "b"}', 5)`);
  await server.sql.query("SET SESSION binlog_row_value_options = 'PARTIAL_JSON'");
  await server.sql.query("UPDATE tagged SET j = JSON_SET(j, '$.tags[1]', 17), n = 6");
  await server.sql.query("SET SESSION binlog_row_value_options = ''");
  expect(await server.decode(source, start, 2)).toEqual([
    { id: 1, j: '{"u": "b", "tags": [3, 4], "names": ["x"]}', n: 5 },
    { id: 1, j: '{"u": "b", "tags": [3, 17], "names": ["x"]}', n: 6 },
  ]);
  const [schema] = await source.schemas([{ database: server.database.name, table: 'tagged' }]);
  expect(schema?.id).toBe(server.schemaId);
});
