/** Keys that the target could take for equal where the log tells them apart: refused by check, and before the first row. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { ColumnSchema, TableSchema, Value } from '../../src/core/change.ts';
import type { Finding } from '../../src/core/ports.ts';
import { Batches, column, mappingTo, postgresFixture, tableOf, type PostgresFixture } from './postgres-fixture.ts';

const words: Partial<ColumnSchema> = { kind: 'string', type: 'varchar(40)', length: 40 };
const brief = (findings: readonly Finding[]) => findings.map(({ level, code, message }) => `${level} ${code} ${message}`);

describe('G1, G6: keys of the log are keys of the target', () => {
  let fixture: PostgresFixture;
  let count = 0;
  beforeAll(async () => {
    fixture = await postgresFixture();
    await fixture.execute(`CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`);
  });
  afterAll(async () => {
    await fixture[Symbol.asyncDispose]();
  });

  /** A sink with one partition for a table of one key column and a number. */
  async function keyed(source: Partial<ColumnSchema>, sql: (table: string) => string) {
    const table = `k${(count += 1)}`;
    await fixture.execute(sql(table));
    const schema: TableSchema = tableOf(table, ['k'], [column('k', { nullable: false, ...source }), column('v')]);
    const sink = await fixture.open([mappingTo(schema)]);
    const batches = new Batches(`${table}#0`);
    await sink.claim([batches.partition]);
    const put = (...rows: readonly (readonly [Value, number])[]) =>
      sink.write(batches.of(rows.map(([k, v]) => [0, schema, { op: 'insert', after: { k, v } }] as const)));
    return { table, schema, sink, put, check: async () => (await sink.check([schema])).filter(({ where }) => where.includes(':')) };
  }

  test('a column of a nondeterministic collation is refused, and the statement mends it with its index', async () => {
    const { table, put, check } = await keyed(words, (name) => `CREATE TABLE ${name} (k varchar(40) COLLATE ci PRIMARY KEY, v int)`);
    const findings = await check();
    expect(brief(findings)).toEqual([
      'error TARGET_COLUMN_TYPE key column "k" is character varying(40) in the target with the nondeterministic collation "ci": keys that differ in the log would be one row there',
    ]);
    await expect(put(['a', 1], ['A', 2])).rejects.toMatchObject({ code: 'TARGET_COLUMN_TYPE', fault: 'fatal' });
    expect(await fixture.rows(`SELECT 1 FROM ${table}`)).toEqual([]);
    await fixture.execute(findings[0]?.fix ?? '');
    expect(await check()).toEqual([]);
    const { sink, schema } = await keyed(words, (name) => `ALTER TABLE ${table} RENAME TO ${name}`);
    const batches = new Batches('mended#0');
    await sink.claim([batches.partition]);
    await sink.write(batches.of(['a', 'A', 'b', 'B'].map((k, v) => [0, schema, { op: 'insert', after: { k, v } }] as const)));
    await sink.write(batches.of([[0, schema, { op: 'delete', before: { k: 'B', v: 3 } }]]));
    expect(await fixture.rows(`SELECT k, v FROM k${count} ORDER BY v`)).toEqual([
      ['a', '0'],
      ['A', '1'],
      ['b', '2'],
    ]);
  });

  test('a unique index on the key that folds is refused, also beside a primary key that does not', async () => {
    const { put, check } = await keyed(
      words,
      (name) => `CREATE TABLE ${name} (k text PRIMARY KEY, v int); CREATE UNIQUE INDEX ${name}_ci ON ${name} (k COLLATE ci)`,
    );
    expect(brief(await check())).toEqual([
      expect.stringMatching(/^error TARGET_COLUMN_TYPE the unique index k\d+_ci on the key has a nondeterministic collation/),
    ]);
    await expect(put(['a', 1])).rejects.toMatchObject({ code: 'TARGET_COLUMN_TYPE', fault: 'fatal' });
    await fixture.execute(`DROP INDEX k${count}_ci`);
    expect(await check()).toEqual([]);
  });

  test('citext and jsonb are no keys', async () => {
    const available = await fixture.rows(`SELECT 1 FROM pg_available_extensions WHERE name = 'citext'`);
    if (available.length > 0) await fixture.execute('CREATE EXTENSION citext');
    const json: Partial<ColumnSchema> = { kind: 'json', type: 'json' };
    const kinds = available.length > 0 ? ([['citext', words]] as const) : [];
    for (const [type, source] of [...kinds, ['jsonb', words], ['jsonb', json]] as const) {
      const { put, check } = await keyed(source, (name) => `CREATE TABLE ${name} (k ${type} PRIMARY KEY, v int)`);
      const [finding] = (await check()).filter(({ level }) => level === 'error');
      expect(finding?.message).toContain(`key column "k" is ${type} in the target, whose equality is not that of the texts`);
      await expect(put(['"a"', 1])).rejects.toMatchObject({ code: 'TARGET_COLUMN_TYPE', fault: 'fatal' });
      await fixture.execute(finding?.fix ?? '');
      expect(await check()).toEqual([]);
    }
  });

  const uuid = '123e4567-e89b-12d3-a456-42665544000a';
  test.each<[string, Partial<ColumnSchema>, string, Value, Value]>([
    ['an upper-case uuid', { kind: 'string', type: 'char(36)', length: 36 }, 'uuid', uuid, uuid.toUpperCase()],
    ['an address with a full mask', words, 'inet', '10.0.0.1', '10.0.0.1/32'],
    ['minus zero in a double', { kind: 'double' }, 'double precision', 0, -0],
    ['minus zero in a float', { kind: 'float' }, 'real', 0, -0],
  ])('%s stops as a key, before it meets its twin', async (_name, source, type, one, twin) => {
    const { table, put } = await keyed(source, (name) => `CREATE TABLE ${name} (k ${type} PRIMARY KEY, v int)`);
    await put([one, 1]);
    await expect(put([twin, 2])).rejects.toMatchObject({ code: 'TARGET_VALUE_REFUSED', fault: 'poison' });
    expect(await fixture.rows(`SELECT v FROM ${table}`)).toEqual([['1']]);
  });

  test('check says that minus zero is refused in a key, and nowhere else', async () => {
    const { schema, sink } = await keyed({ kind: 'double' }, (name) => `CREATE TABLE ${name} (k double precision PRIMARY KEY, v int)`);
    const findings = (await sink.check([schema])).filter(({ where }) => where.includes(':'));
    expect(brief(findings)).toEqual(['warning TARGET_COLUMN_TYPE key column "k": minus zero is refused, which the target takes for zero']);
  });

  test('one row touched twice by a set of different keys is never taken for harmless', async () => {
    const { table, put } = await keyed(words, (name) => `CREATE TABLE ${name} (k text PRIMARY KEY, v int)`);
    await put(['x', 0]);
    // Behind the back of the plan, which read the table's shape before.
    await fixture.execute(`ALTER TABLE ${table} ALTER COLUMN k TYPE text COLLATE ci`);
    await expect(put(['a', 1], ['A', 2])).rejects.toMatchObject({ code: 'TARGET_COLUMN_TYPE', fault: 'fatal' });
    expect(await fixture.rows(`SELECT k, v FROM ${table}`)).toEqual([['x', '0']]);
  });
});
