/** The decoder against SELECT on the real server: character and binary strings. */
import * as fc from 'fast-check';
import type { RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { hexLiteral, sample, ValueServer } from '../support/mysql-values.ts';

let server: ValueServer;
beforeAll(async () => {
  server = await ValueServer.open();
});
afterAll(() => server[Symbol.asyncDispose]());

const awkward = [
  '',
  ' ',
  '"',
  '\\',
  '\u0000',
  '\u001f\u007f\u0080',
  '\ud83d\ude00',
  '\uffff',
  '\u2028',
  '},"after":{',
  'ß'.repeat(100),
  'a'.repeat(255),
  '\n\r\t\b\f',
  '\u{10ffff}',
];

test.each(['VARCHAR(300)', 'CHAR(255)', 'TINYTEXT', 'TEXT', 'LONGTEXT'])('G6: %s in utf8mb4', async (type) => {
  const texts = [...awkward, ...sample(fc.string({ unit: 'binary', maxLength: 60 }))].filter((text) => Buffer.byteLength(text) <= 255);
  const values = texts.map((text) => `CONVERT(${hexLiteral(Buffer.from(text))} USING utf8mb4)`);
  expect(
    await server.differences({
      type: `${type} CHARACTER SET utf8mb4`,
      values,
      select: 'HEX(v)',
      expected: (hex) => Buffer.from(hex, 'hex').toString('utf8'),
    }),
  ).toEqual([]);
});

test('G6: long texts and binaries', async () => {
  const values = [255, 256, 4096, 16_384, 16_385, 70_000, 300_000].map((size) => `REPEAT('aü"\\\\😀\\n', ${Math.ceil(size / 11)})`);
  expect(
    await server.differences({
      type: 'LONGTEXT CHARACTER SET utf8mb4',
      values,
      select: 'HEX(v)',
      expected: (hex) => Buffer.from(hex, 'hex').toString('utf8'),
    }),
  ).toEqual([]);
  expect(
    await server.differences({
      type: 'LONGBLOB',
      values: [191, 192, 193, 70_000, 300_000].map((size) => `REPEAT(X'00ff80', ${size})`),
      select: 'HEX(v)',
      expected: (hex) => Buffer.from(hex, 'hex').toString('base64'),
    }),
  ).toEqual([]);
});

test.each(['ascii', 'latin1', 'latin2', 'latin7', 'koi8r', 'macroman', 'cp1250', 'cp1251', 'cp1257'])(
  'G6: every byte of %s that MySQL can convert',
  async (set) => {
    const [rows] = await server.sql.query<RowDataPacket[]>(
      `WITH RECURSIVE n AS (SELECT 0 AS b UNION ALL SELECT b + 1 FROM n WHERE b < 255) SELECT b, HEX(CONVERT(CONVERT(UNHEX(LPAD(HEX(b), 2, '0')) USING ${set}) USING utf8mb4)) AS u FROM n`,
    );
    const good = rows.filter((row) => row['u'] !== null && (row['u'] !== '3F' || Number(row['b']) === 0x3f)).map((row) => Number(row['b']));
    expect(good.length).toBeGreaterThanOrEqual(128);
    const values = good.map((byte) => `_${set} X'61${byte.toString(16).padStart(2, '0')}62'`);
    expect(
      await server.differences({
        type: `VARCHAR(10) CHARACTER SET ${set}`,
        values,
        select: 'HEX(CONVERT(v USING utf8mb4))',
        expected: (hex) => Buffer.from(hex, 'hex').toString('utf8'),
      }),
    ).toEqual([]);
  },
);

test.each(['utf8mb3', 'ucs2', 'utf16', 'utf16le', 'utf32'])('G6: %s', async (set) => {
  const texts = [...awkward, ...sample(fc.string({ unit: 'binary', maxLength: 30 }))].filter(
    (text) => text.length <= 60 && (!/utf8mb3|ucs2/.test(set) || !/[\ud800-\udfff]/.test(text)),
  );
  const values = texts.map((text) => `CONVERT(${hexLiteral(Buffer.from(text))} USING utf8mb4)`);
  expect(
    await server.differences({
      type: `VARCHAR(100) CHARACTER SET ${set}`,
      values,
      select: 'HEX(CONVERT(v USING utf8mb4))',
      expected: (hex) => Buffer.from(hex, 'hex').toString('utf8'),
    }),
  ).toEqual([]);
});

test.each(['BINARY(5)', 'BINARY(255)', 'VARBINARY(300)', 'TINYBLOB', 'BLOB'])('G6: %s', async (type) => {
  const bytes = sample(fc.uint8Array({ maxLength: type === 'BINARY(5)' ? 5 : 60 }));
  const values = [...bytes, Buffer.from([0, 0]), Buffer.from([1, 0]), Buffer.from([0x20, 0x20])].map(hexLiteral);
  expect(
    await server.differences({ type, values, select: 'HEX(v)', expected: (hex) => Buffer.from(hex, 'hex').toString('base64') }),
  ).toEqual([]);
});

test('G6: a byte that is not valid in its character set is poison, with table and column and never the value', async () => {
  await server.sql.query('CREATE TABLE bad (id INT PRIMARY KEY, v VARCHAR(20) CHARACTER SET cp1251)');
  const source = server.source({ database: server.database.name, table: 'bad' });
  const start = await source.start();
  await server.sql.query("INSERT INTO bad VALUES (1, _cp1251 X'736563726574986b6579')");
  await expect(server.decode(source, start, 1)).rejects.toMatchObject({
    code: 'SOURCE_VALUE_INVALID',
    fault: 'poison',
    message: expect.not.stringMatching(/secret|key/),
  });
});
