/** MariaDB's own types and storage formats against SELECT, through our source. */
import { createHash } from 'node:crypto';

import * as fc from 'fast-check';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TableId } from '../../src/core/change.ts';
import { mysqlSettings, mysqlSource, readChanges } from '../support/mysql-server.ts';
import { hexLiteral, quote, sample, ValueServer } from '../support/mysql-values.ts';
import { privateStack } from '../support/servers.ts';

let server: ValueServer;
beforeAll(async () => {
  server = await ValueServer.open('mariadb');
});
afterAll(() => server[Symbol.asyncDispose]());

const table = (name: string): TableId => ({ database: server.database.name, table: name });
const bytes = (size: number) => fc.uint8Array({ minLength: size, maxLength: size });
const hex = (data: Uint8Array) => Buffer.from(data).toString('hex');

test('G6: UUID of every version, as it is written', async () => {
  const uuids = sample(bytes(16), 600).map((data) => {
    // Version 8 and higher with variant 0 is what MariaDB takes for none.
    if (((data[6] ?? 0) & 0x80) !== 0 && ((data[8] ?? 0) & 0x80) !== 0) data[6] = (data[6] ?? 0) & 0x7f;
    return hex(data);
  });
  const values = ['0'.repeat(32), '00112233445566778899aabbccddee00', 'ffffffffffff0fff8fffffffffffffff', ...uuids].map(quote);
  expect(await server.differences({ type: 'UUID', values, expected: String })).toEqual([]);
});

test('G6: INET4 and INET6, runs of zeros and embedded IPv4 too', async () => {
  const four = sample(bytes(4)).map((data) => [...data].join('.'));
  expect(await server.differences({ type: 'INET4', values: ['0.0.0.0', '255.0.0.0', ...four].map(quote), expected: String })).toEqual([]);
  const word = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat({ max: 0xffff }), fc.constantFrom(0xffff, 1, 0xff, 0x100));
  const six = sample(fc.array(word, { minLength: 8, maxLength: 8 }), 900).map((words) => words.map((part) => part.toString(16)).join(':'));
  const edges = ['::', '::1', '::ffff:1.2.3.4', '::1.2.3.4', '::0.0.0.5', '1::', 'fe80::1:0:0:1', '1:2:3:4:5:6:7:8', '0:1::', '::ffff:0:0'];
  expect(await server.differences({ type: 'INET6', values: [...edges, ...six].map(quote), expected: String })).toEqual([]);
});

describe('G6: COMPRESSED columns', () => {
  const lengths = [0, 1, 2, 50, 99, 100, 101, 150, 250];
  const texts = [...lengths.map((length) => 'äb'.repeat(length / 2)), ...sample(fc.string({ unit: 'binary', maxLength: 60 }))];
  test.each(['VARCHAR(63)', 'VARCHAR(64)', 'VARCHAR(300)', 'TINYTEXT', 'TEXT', 'MEDIUMTEXT', 'LONGTEXT'])('%s', async (type) => {
    const most = type === 'TINYTEXT' || type === 'VARCHAR(63)' ? 60 : 255;
    const values = texts
      .filter((text) => Buffer.byteLength(text) <= most)
      .map((text) => `CONVERT(${hexLiteral(Buffer.from(text))} USING utf8mb4)`);
    const [name, size = ''] = type.split('(');
    const full = `${name}${size === '' ? '' : `(${size}`} COMPRESSED CHARACTER SET utf8mb4`;
    expect(
      await server.differences({ type: full, values, select: 'HEX(v)', expected: (text) => Buffer.from(text, 'hex').toString('utf8') }),
    ).toEqual([]);
  });
  test.each(['VARBINARY(254)', 'VARBINARY(255)', 'TINYBLOB', 'BLOB', 'LONGBLOB'])('%s', async (type) => {
    const values = [...sample(fc.uint8Array({ maxLength: 200 })), Buffer.alloc(250), Buffer.alloc(99, 1)].map(hexLiteral);
    expect(
      await server.differences({
        type: `${type} COMPRESSED`,
        values,
        select: 'HEX(v)',
        expected: (text) => Buffer.from(text, 'hex').toString('base64'),
      }),
    ).toEqual([]);
  });
  test('other character sets, and values of every length of length', async () => {
    const values = ["''", "'äöü'", "REPEAT('ÿ', 200)", "REPEAT('ab', 30000)", "REPEAT('abc', 100000)", "REPEAT('x', 20000000)"];
    for (const set of ['latin1', 'ucs2', 'sjis']) {
      const convertible = set === 'sjis' ? values.filter((value) => !/[äÿ]/.test(value)) : values;
      const type = `LONGTEXT COMPRESSED CHARACTER SET ${set}`;
      expect(
        await server.differences({ type, values: convertible, select: 'SHA1(CONVERT(v USING utf8mb4))', read: sha1, expected: String }),
      ).toEqual([]);
    }
  });
});
const sha1 = (cell: unknown) => createHash('sha1').update(String(cell)).digest('hex');

test('G6: JSON is LONGTEXT there: text as it was written', async () => {
  const values = ['{"a" : 1.10,  "b":[1,2]}', '[]', '12345678901234567890', '"\\\\u00e9"', '{"a":1,"a":2}'].map(quote);
  expect(await server.differences({ type: 'JSON', values, expected: String })).toEqual([]);
});

test('every version of a row of a system-versioned table is carried, with its period, and identified by it', async () => {
  const definitions = [
    'x INT) WITH SYSTEM VERSIONING',
    'x INT, f TIMESTAMP(6) AS ROW START INVISIBLE, t TIMESTAMP(6) AS ROW END, PERIOD FOR SYSTEM_TIME (f, t)) WITH SYSTEM VERSIONING',
  ];
  for (const [index, definition] of definitions.entries()) {
    const name = `versions${index}`;
    await server.sql.query(`CREATE TABLE ${name} (id INT PRIMARY KEY, ${definition}`);
    const [start, end] = index === 0 ? ['row_start', 'row_end'] : ['f', 't'];
    const source = server.source(table(name));
    const from = await source.start();
    await server.sql.query(`INSERT INTO ${name} (id, x) VALUES (1, 10), (2, 20)`);
    await server.sql.query(`UPDATE ${name} SET x = 11 WHERE id = 1`);
    await server.sql.query(`DELETE FROM ${name} WHERE id = 2`);
    const { changes } = await readChanges(source, from, 5);
    const rows = new Map<string, unknown>();
    for (const { before, key, oldKey, after, op } of changes) {
      if (oldKey !== null || op === 'd') rows.delete(JSON.stringify(oldKey ?? key));
      if (after !== null) rows.set(JSON.stringify(key), after);
      expect(before === null || typeof before === 'object').toBe(true);
    }
    const [selected] = await server.sql.query<RowDataPacket[]>(
      `SELECT id, x, REPLACE(CAST(${start} AS CHAR), ' ', 'T') AS s, REPLACE(CAST(${end} AS CHAR), ' ', 'T') AS e FROM ${name} FOR SYSTEM_TIME ALL`,
    );
    const should = selected.map((row) => ({ id: row['id'], x: row['x'], [start ?? '']: `${row['s']}Z`, [end ?? '']: `${row['e']}Z` }));
    const byText = (list: readonly unknown[]) => list.map((row) => JSON.stringify(row)).toSorted();
    expect(byText([...rows.values()])).toEqual(byText(should));
    expect(should).toHaveLength(3);
    const [described] = await source.schemas([table(name)]);
    expect(described?.key).toEqual(['id', end]);
    expect(described?.columns.map(({ name: column }) => column)).toEqual(['id', 'x', start, end]);
  }
});

test('G7: BINARY(16) that became UUID, and the other way: the same bytes, and the schema of each row says how they are spelt', async () => {
  await server.sql.query('CREATE TABLE turned (id INT PRIMARY KEY, a BINARY(16), b UUID, c BINARY(4), d INET4)');
  const from = await server.source(table('turned')).start();
  const uuid = '00112233-4455-6677-8899-aabbccddee00';
  await server.sql.query(`INSERT INTO turned VALUES (1, X'${uuid.replaceAll('-', '')}', '${uuid}', X'01020300', '1.2.3.0')`);
  const read = async () => (await readChanges(server.source(table('turned')), from, 1)).changes[0]?.after;
  const base64 = Buffer.from(uuid.replaceAll('-', ''), 'hex').toString('base64');
  expect(await read()).toEqual({ id: 1, a: base64, b: uuid, c: 'AQIDAA==', d: '1.2.3.0' });
  // Read again by a reading that knows only the table of today, before the ALTER itself, at which every reading stops.
  await server.sql.query('ALTER TABLE turned MODIFY a UUID, MODIFY b BINARY(16), MODIFY c INET4, MODIFY d BINARY(4)');
  expect(await read()).toEqual({ id: 1, a: uuid, b: base64, c: '1.2.3.0', d: 'AQIDAA==' });
  await server.sql.query('ALTER TABLE turned DROP COLUMN a, DROP COLUMN b');
  expect(await read()).toEqual({ id: 1, a: base64, b: base64, c: '1.2.3.0', d: 'AQIDAA==' });
});

test('G6: the storage formats of before MySQL 5.6.4, with MariaDB’s fractions', { timeout: 120_000 }, async () => {
  await using stack = await privateStack({ servers: ['mariadb'], extraArgs: { mariadb: ['--mysql56-temporal-format=OFF'] } });
  const url = stack.urls.mariadb;
  const sql = await createConnection({ uri: url, dateStrings: true });
  const pad = (value: number, width: number) => String(value).padStart(width, '0');
  const digits = [0, 1, 2, 3, 4, 5, 6];
  const columns = digits.map((count) => `ts${count} TIMESTAMP(${count}) NULL, t${count} TIME(${count}), dt${count} DATETIME(${count})`);
  await sql.query('CREATE DATABASE old');
  await sql.query('USE old');
  await sql.query("SET time_zone = '+00:00', sql_mode = ''");
  await sql.query(`CREATE TABLE v (id INT PRIMARY KEY, ${columns.join(', ')}, tail INT NOT NULL)`);
  await sql.query(`CREATE TABLE unmapped (id INT PRIMARY KEY, t TIME(5), dt DATETIME, ts TIMESTAMP(1) NULL)`);
  const source = mysqlSource(mysqlSettings(url), [{ database: 'old', table: 'v' }]);
  const from = await source.start();
  const edges = [
    ['0000-00-00 00:00:00', '00:00:00', '0000-00-00 00:00:00'],
    ['1970-01-01 00:00:01.000001', '-838:59:59.999999', '2026-00-11 23:59:59.999999'],
    ['2038-01-19 03:14:07', '838:59:59.999999', '9999-12-31 23:59:59.999999'],
    ['2026-11-21 10:11:12.123456', '-00:00:00.000001', '0001-01-01 00:00:00.5'],
  ];
  const generated = sample(
    fc.tuple(fc.integer({ min: 1, max: 2 ** 31 - 2 }), fc.nat({ max: 999_999 }), fc.nat({ max: 838 }), fc.nat({ max: 59 }), fc.boolean()),
  ).map(([second, us, hour, minute, negative]) => {
    const moment = `${new Date(second * 1000).toISOString().slice(0, 19).replace('T', ' ')}.${pad(us, 6)}`;
    return [moment, `${negative ? '-' : ''}${pad(hour, 2)}:${pad(minute, 2)}:${pad(second % 60, 2)}.${pad(us, 6)}`, moment];
  });
  const rows = [...edges, ...generated].map(
    ([ts, t, dt], id) => `(${id}, ${digits.map(() => `'${ts}','${t}','${dt}'`).join(', ')}, ${id})`,
  );
  await sql.query("INSERT INTO unmapped VALUES (1, '-12:34:56', '2026-11-21 10:11:12', '2026-11-21 10:11:12'), (2, NULL, NULL, NULL)");
  for (let at = 0; at < rows.length; at += 50) await sql.query(`INSERT INTO v VALUES ${rows.slice(at, at + 50).join(', ')}`);
  const { changes } = await readChanges(source, from, rows.length);
  const [selected] = await sql.query<RowDataPacket[]>('SELECT * FROM v ORDER BY id');
  expect(changes).toHaveLength(selected.length);
  for (const [index, row] of selected.entries()) {
    const should = Object.fromEntries(
      Object.entries(row).map(([name, cell]: [string, unknown]) => {
        if (typeof cell !== 'string') return [name, cell];
        return [name, name.startsWith('ts') ? `${cell.replace(' ', 'T')}Z` : cell.replace(' ', 'T')];
      }),
    );
    expect(changes[index]?.after).toEqual(should);
  }
  // Into the format of today: the rows before are still read with the digits that they had.
  await sql.query('SET GLOBAL mysql56_temporal_format = ON');
  await sql.query('ALTER TABLE v FORCE');
  const again = await readChanges(mysqlSource(mysqlSettings(url), [{ database: 'old', table: 'v' }]), from, rows.length);
  expect(again.changes.map(({ after }) => after)).toEqual(changes.map(({ after }) => after));
  const [described] = await source.schemas([{ database: 'old', table: 'v' }]);
  expect(described?.columns.map(({ type }) => type).slice(1, 4)).toEqual(['timestamp', 'time', 'datetime']);
  await sql.end();
});

test('a UUID column that is added while we read: the server is asked again, and the column is what it says', async () => {
  await server.sql.query('CREATE TABLE grown (id INT PRIMARY KEY)');
  const source = server.source(table('grown'));
  const from = await source.start();
  await server.sql.query('INSERT INTO grown VALUES (1)');
  const reading = source.read(from, AbortSignal.timeout(20_000));
  let position = from;
  for (let seen = 0; seen === 0;) {
    const { value } = await reading.next();
    seen = value?.changes.length ?? 0;
    position = value?.position ?? position;
  }
  await server.sql.query('ALTER TABLE grown ADD COLUMN u UUID');
  await server.sql.query("INSERT INTO grown VALUES (2, '00112233-4455-6677-8899-aabbccddeeff')");
  const drained = async () => {
    for await (const batch of reading) expect(batch.changes).toEqual([]);
  };
  await expect(drained()).rejects.toMatchObject({ code: 'SOURCE_TYPE_UNSUPPORTED', fault: 'retry' });
  const { changes } = await readChanges(source, position, 1);
  expect(changes[0]?.after).toEqual({ id: 2, u: '00112233-4455-6677-8899-aabbccddeeff' });
});

test('the columns that MariaDB adds for unique keys over long values are nobody’s business', async () => {
  await server.sql.query('CREATE TABLE hashed (b BLOB, id INT PRIMARY KEY, v VARCHAR(3000), UNIQUE (b), UNIQUE (v) USING HASH)');
  const source = server.source(table('hashed'));
  const from = await source.start();
  await server.sql.query("INSERT INTO hashed VALUES ('x', 1, 'y'), (NULL, 2, NULL)");
  const { changes } = await readChanges(source, from, 2);
  expect(changes.map(({ after }) => after)).toEqual([
    { b: 'eA==', id: 1, v: 'y' },
    { b: null, id: 2, v: null },
  ]);
  const [described] = await source.schemas([table('hashed')]);
  expect(described?.columns.map(({ name }) => name)).toEqual(['b', 'id', 'v']);
});
