import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { copyFromRows } from '../../connectors/postgres/row-steps.ts';
import { createTableStatement } from '../../connectors/postgres/ddl.ts';
import type { ColumnSchema, Row, Value } from '../../src/core/change.ts';
import { oddText } from '../contract/sink-histories.ts';
import { Batches, column, mappingTo, postgresFixture, tableOf, type PostgresFixture } from './postgres-fixture.ts';

const digits = (count: number) =>
  fc.string({ unit: fc.constantFrom('0', '1', '2', '3', '4', '5', '6', '7', '8', '9'), minLength: count, maxLength: count });
const two = (min: number, max: number) => fc.integer({ min, max }).map((number) => String(number).padStart(2, '0'));
const date = fc
  .tuple(fc.integer({ min: 1, max: 9999 }), two(1, 12), two(1, 28))
  .map(([year, month, day]) => `${String(year).padStart(4, '0')}-${month}-${day}`);
const time = fc.tuple(two(0, 23), two(0, 59), two(0, 59), digits(6)).map(([h, m, s, f]) => `${h}:${m}:${s}.${f}`);
const wideTime = fc
  .tuple(fc.boolean(), fc.integer({ min: 0, max: 838 }), two(0, 59), two(0, 59), digits(6))
  .map(([minus, h, m, s, f]) => `${minus ? '-' : ''}${String(h).padStart(2, '0')}:${m}:${s}.${f}`);
const decimal = fc
  .tuple(fc.boolean(), fc.integer({ min: 0, max: 999_999_999 }), digits(20))
  .map(([minus, whole, rest]) => `${minus ? '-' : ''}${whole}.${rest}`);
const float32 = fc.float({ noNaN: true, noDefaultInfinity: true });

/** Each kind with values at and between its ends, and how Postgres' text of it becomes comparable. */
const kinds: readonly {
  readonly column: ColumnSchema;
  readonly values: fc.Arbitrary<Value>;
  readonly same: (value: Value, text: string) => boolean;
}[] = [
  { column: column('tiny', { bits: 8 }), values: fc.integer({ min: -128, max: 127 }), same: plain },
  { column: column('big', { bits: 64 }), values: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), same: plain },
  { column: column('unsigned', { bits: 64, unsigned: true }), values: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), same: plain },
  { column: column('price', { kind: 'decimal', precision: 29, scale: 20 }), values: decimal, same: sameDecimal },
  {
    column: column('ratio', { kind: 'double' }),
    values: fc.double({ noNaN: true, noDefaultInfinity: true }),
    same: (v, t) => Object.is(v, Number(t)),
  },
  {
    column: column('small', { kind: 'float' }),
    values: float32.map((f) => Number(Math.fround(f).toPrecision(9))),
    same: (v, t) => Object.is(Math.fround(v as number), Math.fround(Number(t))),
  },
  { column: column('flag', { kind: 'boolean', type: 'bit(1)' }), values: fc.boolean(), same: (v, t) => (v ? 't' : 'f') === t },
  {
    column: column('bits', { kind: 'bit', bits: 13 }),
    values: fc.integer({ min: 0, max: 0x1fff }).map((n) => Uint8Array.of(n & 255, n >> 8)),
    same: (v, t) => Number.parseInt(t, 2) === ((v as Uint8Array)[1] ?? 0) * 256 + ((v as Uint8Array)[0] ?? 0),
  },
  { column: column('words', { kind: 'string', type: 'varchar(40)', length: 40 }), values: oddText, same: plain },
  { column: column('essay', { kind: 'string', type: 'text' }), values: oddText, same: plain },
  {
    column: column('blob', { kind: 'bytes', type: 'blob' }),
    values: fc.uint8Array({ maxLength: 12 }),
    same: (v, t) => `\\x${Buffer.from(v as Uint8Array).toString('hex')}` === t,
  },
  { column: column('day', { kind: 'date' }), values: date, same: plain },
  { column: column('moment', { kind: 'datetime', scale: 6 }), values: fc.tuple(date, time).map(([d, t]) => `${d}T${t}`), same: sameMoment },
  {
    column: column('instant', { kind: 'timestamp', scale: 6 }),
    values: fc.tuple(date, time).map(([d, t]) => `${d}T${t}Z`),
    same: sameMoment,
  },
  { column: column('span', { kind: 'time', scale: 6 }), values: wideTime, same: sameSpan },
  { column: column('year', { kind: 'year' }), values: fc.integer({ min: 0, max: 2155 }), same: plain },
  {
    column: column('mood', { kind: 'enum', labels: ['ok', "o'clock", 'a,b', 'back\\slash'] }),
    values: fc.constantFrom('ok', "o'clock", 'a,b', 'back\\slash', ''),
    same: plain,
  },
  {
    column: column('tags', { kind: 'set', labels: ['a', 'b"c', 'd e'] }),
    values: fc.constantFrom('', 'a', 'a,b"c', 'd e', 'a,b"c,d e'),
    same: plain,
  },
  {
    column: column('json "quoted"', { kind: 'json' }),
    values: fc.json({ noUnicodeString: true }).filter((text) => !text.includes('\\u0000')),
    same: (v, t) => {
      try {
        JSON.parse(t);
        return typeof v === 'string';
      } catch {
        return false;
      }
    },
  },
  { column: column('id6', { kind: 'uuid' }), values: fc.uuid(), same: plain },
];

/** Of a value that its own text says all about. */
const textOf = (value: Value) => (typeof value === 'object' ? JSON.stringify(value) : String(value));
function plain(value: Value, text: string): boolean {
  return textOf(value) === text;
}
function sameDecimal(value: Value, text: string): boolean {
  return text === textOf(value).replace(/^-(0\.0*)$/, '$1');
}
function sameMoment(value: Value, text: string): boolean {
  return normal(textOf(value).replace('T', ' ').replace('Z', '+00')) === normal(text);
}
/** Postgres prints no trailing zeros and only as many digits as there are. */
const normal = (text: string) => text.replace(/(\.\d*?)0*(?=\+|$)/, '$1').replace(/\.(?=\+|$)/, '');
function sameSpan(value: Value, text: string): boolean {
  return normal(textOf(value)).replace(/^-(00:00:00)$/, '$1') === normal(text);
}

const schemaOf = (table: string) => tableOf(table, ['id'], [column('id', { nullable: false }), ...kinds.map((kind) => kind.column)]);
const rowOf = fc.tuple(...kinds.map(({ values }) => fc.option(values, { nil: null, freq: 6 })));

describe('G6: what is written is what is read back', () => {
  let fixture: PostgresFixture;
  const [arrays, copied] = [schemaOf('by_arrays'), schemaOf('by "copy"')];
  beforeAll(async () => {
    fixture = await postgresFixture();
    await fixture.execute(createTableStatement('"by_arrays"', arrays));
    await fixture.execute(createTableStatement('"by ""copy"""', copied));
  });
  afterAll(async () => {
    await fixture[Symbol.asyncDispose]();
  });

  test('both ways of writing store every value exactly, and equally', async () => {
    const seed = Date.now() % 2 ** 31;
    process.stdout.write(`postgres values: seed ${seed}\n`);
    const sink = await fixture.open([mappingTo(arrays), mappingTo(copied, '"by ""copy"""')]);
    const few = 500;
    const samples = fc.sample(rowOf, { numRuns: copyFromRows, seed });
    const rows = samples.map((cells, index): Row => ({
      id: index,
      ...Object.fromEntries(kinds.map((kind, at) => [kind.column.name, cells[at] ?? null])),
    }));
    const batches = new Batches('values#0');
    await sink.claim([batches.partition]);
    for (let from = 0; from < rows.length; from += few) {
      await sink.write(batches.of(rows.slice(from, from + few).map((after) => [0, arrays, { op: 'insert', after }] as const)));
    }
    await sink.write(batches.of(rows.map((after) => [1, copied, { op: 'insert', after }] as const)));
    const names = kinds.map((kind) => `"${kind.column.name.replaceAll('"', '""')}"`).join(', ');
    await fixture.execute(`SET extra_float_digits = 1; SET IntervalStyle = postgres`);
    const byArrays = await fixture.rows(`SELECT ${names} FROM by_arrays ORDER BY id`);
    expect(byArrays.length).toBe(rows.length);
    expect(await fixture.rows(`SELECT ${names} FROM "by ""copy""" ORDER BY id`)).toEqual(byArrays);
    const wrong = byArrays.flatMap((cells, index) =>
      kinds.flatMap(({ column: { name }, same }, at) => {
        const [value, text] = [rows[index]?.[name] ?? null, cells[at] ?? null];
        const equal = value === null || text === null ? value === text : same(value, text);
        return equal ? [] : [{ name, value, text }];
      }),
    );
    expect(wrong).toEqual([]);
  });

  test('updates through COPY, deletes of odd keys, and a second COPY inside one open transaction', async () => {
    const named = tableOf('named', ['name'], [column('name', { kind: 'string', type: 'text', nullable: false }), column('n')]);
    await fixture.execute(createTableStatement('named', named));
    const sink = await fixture.open([mappingTo(named)]);
    const batches = new Batches('named#0');
    await sink.claim([batches.partition]);
    const odd = ['NULL', '', '\\N', '{}', '","', "it's", 'tab\tand\nline', '😀', '\\', '"'];
    const names = [...odd, ...Array.from({ length: copyFromRows }, (_, index) => `plain ${index}`)];
    const put = (n: number) => names.map((name) => [0, named, { op: 'insert', after: { name, n } }] as const);
    await sink.write(batches.of(put(1)));
    expect(await sink.write(batches.of(put(2), true))).toBe('open');
    expect(await sink.write(batches.of(put(3), true))).toBe('open');
    expect(fixture.logged).toEqual([]);
    expect(await sink.write(batches.of(odd.map((name) => [0, named, { op: 'delete', before: { name, n: 3 } }] as const)))).toBe(
      'committed',
    );
    expect(await fixture.rows('SELECT count(*), min(n), max(n) FROM named')).toEqual([[String(copyFromRows), '3', '3']]);
    await sink.write(batches.of(put(4)));
    expect(await fixture.rows('SELECT count(*), min(n), max(n) FROM named')).toEqual([[String(names.length), '4', '4']]);
  });

  test('policies: what the table says, and what single columns say otherwise, in both ways of writing', async () => {
    const date = { kind: 'date', type: 'date' } as const;
    const odd = tableOf(
      'odd_values',
      ['id'],
      [
        column('id', { nullable: false }),
        column('born', date),
        column('died', date),
        column('seen', { kind: 'datetime', scale: 6, nullable: false }),
        column('shift', { kind: 'time', scale: 0 }),
        column('text', { kind: 'string', type: 'text' }),
        column('other', { kind: 'string', type: 'text' }),
        column('data', { kind: 'json', type: 'json' }),
      ],
    );
    await fixture.execute(
      `CREATE TABLE odd_values (id int PRIMARY KEY, born date, died date, seen timestamp(6) NOT NULL, shift time, text text, other text, data jsonb)`,
    );
    const values = {
      nul: 'strip',
      zeroDate: null,
      columns: { born: { zeroDate: '0001-01-01' }, seen: { zeroDate: '-infinity' }, shift: { timeRange: null }, other: { nul: 'escape' } },
    };
    const sink = await fixture.open([{ ...mappingTo(odd), options: { values } }]);
    const batches = new Batches('odd_values#0');
    await sink.claim([batches.partition]);
    const zero = { born: '0000-00-00', died: '2026-02-00', seen: '2026-02-30T00:00:00.000000', shift: '-01:00:00' };
    const row = (id: number): Row => ({ id, ...zero, text: 'a\0b', other: 'a\0b', data: '{"a\\u0000": "\\\\u0000"}' });
    const expected = ['0001-01-01', null, '-infinity', null, 'ab', 'a\\u0000b', '{"a": "\\\\u0000"}'];
    for (const count of [1, copyFromRows]) {
      await sink.write(batches.of(Array.from({ length: count }, (_, id) => [0, odd, { op: 'insert', after: row(id) }] as const)));
      expect(await fixture.rows(`SELECT born, died, seen, shift, text, other, data FROM odd_values WHERE id = ${count - 1}`)).toEqual([
        expected,
      ]);
    }
    // A sentinel goes into a column that takes no NULL; NULL does not.
    const other = await fixture.open([{ ...mappingTo(odd), options: { values: { zeroDate: null, nul: 'strip', timeRange: null } } }]);
    const again = new Batches('odd_values#1');
    await other.claim([again.partition]);
    await expect(other.write(again.of([[0, odd, { op: 'insert', after: row(1) }]]))).rejects.toMatchObject({
      code: 'TARGET_VALUE_REFUSED',
      message: expect.stringContaining('column "seen"') as string,
    });
  });

  test('a value that cannot be stored names its place; with a policy it is stored, but never in a key', async () => {
    const notes = tableOf(
      'notes',
      ['id'],
      [
        column('id', { kind: 'string', type: 'varchar(9)', nullable: false }),
        column('note', { kind: 'string', type: 'text' }),
        column('day', { kind: 'date' }),
      ],
    );
    await fixture.execute(createTableStatement('notes', notes));
    const insert = (id: string, note: string, day: string) => [0, notes, { op: 'insert', after: { id, note, day } }] as const;
    const rows = [insert('a', 'fine', '2026-11-21'), insert('b', 'x\0y', '0000-00-00')];
    const strict = await fixture.open([mappingTo(notes)]);
    const batches = new Batches('notes#0');
    await strict.claim([batches.partition]);
    await expect(strict.write(batches.of(rows))).rejects.toMatchObject({
      code: 'TARGET_VALUE_REFUSED',
      fault: 'poison',
      message: expect.stringMatching(
        /shop\.notes → public\.notes: column "note" .*U\+0000.*\(partition notes#0, offsets 0 to 1, in transaction uuid:0\)/,
      ) as string,
      remedy: expect.stringContaining('values: { nul: strip }') as string,
    });
    const lenient = await fixture.open([{ ...mappingTo(notes), options: { values: { nul: 'escape', zeroDate: 'null' } } }]);
    const again = new Batches('notes#0');
    await lenient.claim([again.partition]);
    expect(await lenient.write(again.of(rows))).toBe('committed');
    expect(await fixture.rows('SELECT id, note, day FROM notes ORDER BY id')).toEqual([
      ['a', 'fine', '2026-11-21'],
      ['b', 'x\\u0000y', null],
    ]);
    expect(fixture.logged).toContain('values that the target cannot hold were altered as the configuration says');
    await expect(lenient.write(again.of([insert('c\0', 'x', '2026-11-21')]))).rejects.toMatchObject({ code: 'TARGET_VALUE_REFUSED' });
  });
});
