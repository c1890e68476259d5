import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { copyFromRows } from '../../connectors/postgres/row-steps.ts';
import { createTableStatement } from '../../connectors/postgres/ddl.ts';
import type { Row, Value } from '../../src/core/change.ts';
import { Batches, column, mappingTo, postgresFixture, tableOf, type PostgresFixture } from './postgres-fixture.ts';

describe('large shapes', () => {
  let fixture: PostgresFixture;
  beforeAll(async () => {
    fixture = await postgresFixture();
  });
  afterAll(async () => {
    await fixture[Symbol.asyncDispose]();
  });

  const kinds = [
    { source: { bits: 32 }, value: (n: number) => n },
    { source: { kind: 'string', type: 'varchar(9)', length: 9 }, value: (n: number) => `t${n % 1000}` },
    { source: { kind: 'date' }, value: (n: number) => `20${String(10 + (n % 80))}-01-01` },
    { source: { kind: 'boolean', type: 'bit(1)' }, value: (n: number) => n % 2 === 0 },
  ] as const;

  test.each([
    ['by arrays', 1_000, 3],
    ['by COPY', 1_000, copyFromRows],
    ['by arrays', 1_600, 3],
  ])('G6: %s, %i columns: insert, update and delete', async (way, width, count) => {
    const table = `${way} ${width}`;
    const columns = Array.from({ length: width - 1 }, (_, index) => column(`c${index}`, kinds[index % kinds.length]?.source));
    const schema = tableOf(table, ['id'], [column('id', { nullable: false }), ...columns]);
    await fixture.execute(createTableStatement(`"${table}"`, schema));
    const sink = await fixture.open([mappingTo(schema, `"${table}"`)]);
    expect((await sink.check([schema])).filter(({ level }) => level === 'error')).toEqual([]);
    const batches = new Batches(`${table}#0`);
    await sink.claim([batches.partition]);
    const row = (id: number, shift: number): Row => {
      const cells: Record<string, Value> = { id };
      for (let index = 0; index < columns.length; index += 1)
        cells[`c${index}`] = (id + index + shift) % 7 === 0 ? null : (kinds[index % kinds.length]?.value(id + index + shift) ?? null);
      return cells;
    };
    const all = Array.from({ length: count }, (_, id) => id);
    await sink.write(batches.of(all.map((id) => [0, schema, { op: 'insert', after: row(id, 0) }] as const)));
    await sink.write(batches.of(all.map((id) => [0, schema, { op: 'update', before: row(id, 0), after: row(id, 1) }] as const)));
    await sink.write(batches.of([[0, schema, { op: 'delete', before: row(0, 1) }]]));
    const [sample] = await fixture.rows(`SELECT * FROM "${table}" WHERE id = 2`);
    const shown = (value: string | number | boolean | null) =>
      typeof value === 'boolean' ? (value ? 't' : 'f') : value === null ? null : String(value);
    expect(sample).toEqual(Object.values(row(2, 1)).map((value) => shown(value as string | number | boolean | null)));
    expect(await fixture.rows(`SELECT count(*), min(id) FROM "${table}"`)).toEqual([[String(count - 1), '1']]);
    expect(fixture.logged).toEqual([]);
  });

  test('names that need quotes, in every place where a name can stand', async () => {
    const odd = ['"', 'a.b', 'UPPER', 'ü😀', 'select', "it's", '\\', '$1', 'with space', 'x'.repeat(63), '__proto__', 'ctid2', '%s'];
    const schema = tableOf(
      'odd',
      ['"', 'a.b'],
      odd.map((name) => column(name, { kind: 'string', type: 'varchar(40)', length: 40, nullable: name.length > 3 })),
    );
    const target = '"My ""Schema"".x"."Tä.ble ""q"""';
    const sink = await fixture.open([mappingTo(schema, target)]);
    for (const { fix } of await sink.check([schema])) await fixture.execute(fix ?? '');
    expect(await sink.check([schema])).toEqual([]);
    const batches = new Batches('odd#0');
    await sink.claim([batches.partition]);
    const row = (key: string, text: string): Row =>
      Object.fromEntries(odd.map((name, index) => [name, index < 2 ? key : `${text}${index}`]));
    await sink.write(batches.of(['a', 'b'].map((key) => [0, schema, { op: 'insert', after: row(key, 'x') }] as const)));
    await sink.write(batches.of([[0, schema, { op: 'update', before: row('a', 'x'), after: row('a', 'y') }]]));
    await sink.write(batches.of([[0, schema, { op: 'delete', before: row('b', 'x') }]]));
    expect(await fixture.rows(`SELECT * FROM ${target}`)).toEqual([Object.values(row('a', 'y'))]);
    const many = Array.from({ length: copyFromRows }, (_, index) => [0, schema, { op: 'insert', after: row(`k${index}`, 'z') }] as const);
    await sink.write(batches.of(many));
    expect(await fixture.rows(`SELECT count(*) FROM ${target}`)).toEqual([[String(copyFromRows + 1)]]);
    expect(await sink.write({ ...batches.of([[0, schema, { op: 'truncate' }]]), barrier: [batches.partition] })).toBe('committed');
    expect(await fixture.rows(`SELECT count(*) FROM ${target}`)).toEqual([['0']]);
  });
});
