import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { ColumnSchema, Row, Value } from '../../src/core/change.ts';
import { Batches, column, mappingTo, postgresFixture, tableOf, type PostgresFixture } from './postgres-fixture.ts';

const rich = (qty: number): Row => ({ id: 5, qty, twice: 999 });

describe('targets that a person made', () => {
  let fixture: PostgresFixture;
  let count = 0;
  beforeAll(async () => {
    fixture = await postgresFixture();
  });
  afterAll(async () => {
    await fixture[Symbol.asyncDispose]();
  });

  /** Writes one row of `id` and `value` into a table of its own; the text that Postgres then has. */
  async function store(source: Partial<ColumnSchema>, type: string, value: Value): Promise<string | null> {
    const table = `t${(count += 1)}`;
    await fixture.execute(`CREATE TABLE ${table} (id int PRIMARY KEY, value ${type})`);
    const schema = tableOf(table, ['id'], [column('id'), column('value', source)]);
    const sink = await fixture.open([mappingTo(schema)]);
    const batches = new Batches(`${table}#0`);
    await sink.claim([batches.partition]);
    await sink.write(batches.of([[0, schema, { op: 'insert', after: { id: 1, value } }]]));
    return (await fixture.rows(`SELECT value FROM ${table}`))[0]?.[0] ?? null;
  }

  test.each<[string, Partial<ColumnSchema>, string, Value, string]>([
    ['tinyint into boolean', { bits: 8 }, 'boolean', 1, 't'],
    ['bit(1) into smallint', { kind: 'boolean' }, 'smallint', true, '1'],
    ['bit(1) into bit(1)', { kind: 'boolean' }, 'bit(1)', true, '1'],
    ['bit(9) into bytea', { kind: 'bit', bits: 9 }, 'bytea', Uint8Array.of(255, 1), '\\x01ff'],
    ['integer into text', {}, 'text', -5, '-5'],
    ['decimal into text', { kind: 'decimal', precision: 5, scale: 2 }, 'text', '1.50', '1.50'],
    ['decimal(5,0) into bigint', { kind: 'decimal', precision: 5, scale: 0 }, 'bigint', '12345', '12345'],
    ['minus zero into double precision', { kind: 'double' }, 'double precision', -0, '-0'],
    ['a float into double precision', { kind: 'float' }, 'double precision', 1.1, '1.1'],
    ['a tiny double', { kind: 'double' }, 'double precision', 5e-324, '5e-324'],
    ['SET into text[]', { kind: 'set' }, 'text[]', 'a,NULL,b"c', '{a,"NULL","b\\"c"}'],
    ['an empty SET into text[]', { kind: 'set' }, 'text[]', '', '{}'],
    ['24:00:00 into time', { kind: 'time', scale: 0 }, 'time', '24:00:00', '24:00:00'],
    ['a negative TIME into interval', { kind: 'time', scale: 0 }, 'interval', '-838:59:59', '-838:59:59'],
    ['a year below 100', { kind: 'date' }, 'date', '0018-02-03', '0018-02-03'],
    ['a zero date into text', { kind: 'date' }, 'text', '0000-00-00', '0000-00-00'],
    ['a TIMESTAMP into timestamp', { kind: 'timestamp', scale: 0 }, 'timestamp', '2026-11-21T10:11:12Z', '2026-11-21 10:11:12'],
    ['a VECTOR into real[]', { kind: 'vector' }, 'real[]', [1.5, -2], '{1.5,-2}'],
    ['trailing spaces into varchar', { kind: 'string', type: 'varchar(9)', length: 9 }, 'varchar(9)', 'x  ', 'x  '],
    ['CHAR into char(n)', { kind: 'string', type: 'char(3)', length: 3 }, 'char(3)', 'x', 'x  '],
    ['JSON with a big number', { kind: 'json' }, 'jsonb', '{"a": 12345678901234567890.10}', '{"a": 12345678901234567890.10}'],
    ['an emoji counts as one character', { kind: 'string', type: 'text' }, 'varchar(2)', '😀😀', '😀😀'],
  ])('%s', async (_name, source, type, value, text) => {
    expect(await store(source, type, value)).toBe(text);
  });

  test.each<[string, Partial<ColumnSchema>, string, Value]>([
    ['U+0000', { kind: 'string', type: 'text' }, 'text', 'a\0b'],
    ['half an emoji', { kind: 'string', type: 'text' }, 'text', '\ud83d'],
    ['a zero date', { kind: 'date' }, 'date', '0000-00-00'],
    ['a partly zero date', { kind: 'date' }, 'date', '2026-11-00'],
    ['a zero month', { kind: 'datetime', scale: 0 }, 'timestamp', '2026-00-10T00:00:00'],
    ['a zero timestamp', { kind: 'timestamp', scale: 0 }, 'timestamptz', '0000-00-00T00:00:00Z'],
    ['a negative time', { kind: 'time', scale: 0 }, 'time', '-00:00:01'],
    ['a time beyond 24 hours', { kind: 'time', scale: 6 }, 'time', '24:00:00.000001'],
    ['a number that is no boolean', { bits: 8 }, 'boolean', 2],
    ['a number beyond the column', { bits: 32 }, 'smallint', 70_000],
    ['a text too long', { kind: 'string', type: 'text' }, 'varchar(2)', 'secret'],
    ['a text too long by spaces', { kind: 'string', type: 'text' }, 'varchar(2)', 'ab '],
    ['a NUL inside JSON', { kind: 'json' }, 'jsonb', '"secret\\u0000"'],
    ['a label that the enum lacks', { kind: 'string', type: 'text' }, 'uuid', 'secret'],
  ])('G6, G13: %s is poison and is never part of the error', async (_name, source, type, value) => {
    const error = await store(source, type, value).then(
      () => undefined,
      (thrown: unknown) => thrown as Error & { remedy: string },
    );
    expect(error).toMatchObject({ code: 'TARGET_VALUE_REFUSED', fault: 'poison' });
    expect(`${error?.message} ${error?.remedy} ${String(error?.cause)}`).not.toMatch(/secret|70000|0000-00-00|😀/);
    expect(error?.message).toContain(`t${count}`);
  });

  test.each<[string, Partial<ColumnSchema>, string, Value]>([
    ['double into real', { kind: 'double' }, 'real', 1],
    ['decimal(9,4) into numeric(9,2)', { kind: 'decimal', precision: 9, scale: 4 }, 'numeric(9,2)', '1.0000'],
    ['decimal(9,4) into integer', { kind: 'decimal', precision: 9, scale: 4 }, 'integer', '1.0000'],
    ['DATETIME(6) into timestamp(3)', { kind: 'datetime', scale: 6 }, 'timestamp(3)', '2026-11-21T10:11:12.000000'],
    ['DATETIME into timestamptz', { kind: 'datetime', scale: 0 }, 'timestamptz', '2026-11-21T10:11:12'],
    ['VARCHAR into char(n)', { kind: 'string', type: 'varchar(3)', length: 3 }, 'char(3)', 'a'],
    ['bytes into text', { kind: 'bytes' }, 'text', Uint8Array.of(1)],
    ['BIGINT into double precision', { bits: 64 }, 'double precision', 1],
  ])('G6: %s would bend values, so nothing is written', async (_name, source, type, value) => {
    await expect(store(source, type, value)).rejects.toMatchObject({ code: 'TARGET_COLUMN_TYPE', fault: 'fatal' });
  });

  test('a missing column stops and sends to check, which knows what the rows that are there need; a missing table stops with the CREATE TABLE, a missing key with its statement', async () => {
    const schema = tableOf('absent', ['id'], [column('id', { nullable: false }), column('size', { bits: 64, unsigned: true })]);
    const write = async () => {
      const sink = await fixture.open([mappingTo(schema)]);
      const batches = new Batches('absent#0');
      await sink.claim([batches.partition]);
      await sink.write(batches.of([[0, schema, { op: 'insert', after: { id: 1, size: 2n ** 64n - 1n } }]]));
    };
    const statement = async (code: string): Promise<string> => {
      const error = await write().catch((thrown: unknown) => thrown as Error & { remedy: string });
      expect(error).toMatchObject({ code, fault: 'fatal' });
      return (error as { remedy: string }).remedy;
    };
    const create = await statement('TARGET_TABLE_MISSING');
    expect(create).toBe('CREATE TABLE "public"."absent" (\n  "id" integer NOT NULL,\n  "size" numeric(20),\n  PRIMARY KEY ("id")\n);');
    await fixture.execute('CREATE TABLE absent (id integer NOT NULL)');
    expect(await statement('TARGET_COLUMN_MISSING')).toContain('Run `crossfade check`');
    await fixture.execute('ALTER TABLE absent ADD COLUMN size numeric(20)');
    await fixture.execute(await statement('TARGET_KEY_MISSING'));
    await write();
    expect(await fixture.rows('SELECT * FROM absent')).toEqual([['1', '18446744073709551615']]);
  });

  test('columns that only the target has keep their values and defaults; generated ones are never written', async () => {
    await fixture.execute(
      `CREATE TABLE rich (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, qty int, twice int GENERATED ALWAYS AS (qty * 2) STORED, note text DEFAULT 'new')`,
    );
    const schema = tableOf('rich', ['id'], [column('id'), column('qty'), column('twice')]);
    const sink = await fixture.open([mappingTo(schema)]);
    const batches = new Batches('rich#0');
    await sink.claim([batches.partition]);
    await sink.write(batches.of([[0, schema, { op: 'insert', after: rich(1) }]]));
    await fixture.execute(`UPDATE rich SET note = 'kept'`);
    await sink.write(batches.of([[0, schema, { op: 'update', before: rich(1), after: rich(2) }]]));
    expect(await fixture.rows('SELECT * FROM rich')).toEqual([['5', '2', '4', 'kept']]);
  });

  test('a table whose every column is its key', async () => {
    await fixture.execute('CREATE TABLE pairs (a int, b int, PRIMARY KEY (b, a))');
    const schema = tableOf('pairs', ['a', 'b'], [column('a'), column('b')]);
    const sink = await fixture.open([mappingTo(schema)]);
    const batches = new Batches('pairs#0');
    await sink.claim([batches.partition]);
    const put = { op: 'insert', after: { a: 1, b: 2 } } as const;
    await sink.write(batches.of([[0, schema, put]]));
    await sink.write(batches.of([[0, schema, put]]));
    expect(await fixture.rows('SELECT a, b FROM pairs')).toEqual([['1', '2']]);
  });

  test('names that need quotes, domains, enums, and a row shape that changes in the middle of a batch', async () => {
    await fixture.execute(`
      CREATE SCHEMA "My.Schema"; CREATE TYPE "My.Schema"."Mood" AS ENUM ('ok', 'a,b'); CREATE DOMAIN "My.Schema".amount AS numeric(9,2) CHECK (VALUE >= 0);
      CREATE TABLE "My.Schema"."Odd ""Table" ("select" bigint PRIMARY KEY, "My Mood" "My.Schema"."Mood", price "My.Schema".amount, extra int)`);
    const old = tableOf(
      'odd',
      ['select'],
      [
        column('select', { bits: 64 }),
        column('My Mood', { kind: 'enum', labels: ['ok', 'a,b'] }),
        column('price', { kind: 'decimal', precision: 9, scale: 2 }),
      ],
    );
    const young = { ...old, id: 'odd-2', columns: [...old.columns, column('extra')] };
    const sink = await fixture.open([mappingTo(old, '"My.Schema"."Odd ""Table"')]);
    const batches = new Batches('odd#0');
    await sink.claim([batches.partition]);
    const before = { select: 1, 'My Mood': 'a,b', price: '1.50' };
    await sink.write(
      batches.of([
        [0, old, { op: 'insert', after: before }],
        [0, young, { op: 'insert', after: { select: 2, 'My Mood': 'ok', price: '0.00', extra: 7 } }],
        [0, old, { op: 'insert', after: { select: 3, 'My Mood': null, price: null } }],
        [0, young, { op: 'update', before: { ...before, extra: null }, after: { ...before, extra: 9 } }],
      ]),
    );
    expect(await fixture.rows(`SELECT * FROM "My.Schema"."Odd ""Table" ORDER BY 1`)).toEqual([
      ['1', 'a,b', '1.50', '9'],
      ['2', 'ok', '0.00', '7'],
      ['3', null, null, null],
    ]);
  });
});
