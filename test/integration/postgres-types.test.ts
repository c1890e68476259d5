import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { copyFromRows } from '../../connectors/postgres/row-steps.ts';
import type { Row } from '../../src/core/change.ts';
import { Batches, column, mappingTo, postgresFixture, tableOf, type PostgresFixture } from './postgres-fixture.ts';
import { cases, labels } from './postgres-type-cases.ts';

const isText = (type: string) => /^(text|varchar|json$)/.test(type);

describe('G6: every kind in every type that holds it exactly', () => {
  let fixture: PostgresFixture;
  beforeAll(async () => {
    fixture = await postgresFixture();
    await fixture.execute(`CREATE TYPE mood AS ENUM (${labels.map((label) => `'${label.replaceAll("'", "''")}'`).join(', ')})`);
    await fixture.execute('SET extra_float_digits = 1; SET IntervalStyle = postgres; SET bytea_output = hex');
  });
  afterAll(async () => {
    await fixture[Symbol.asyncDispose]();
  });

  const sources = cases.map(([source], index) => column(`c${index}`, source));
  const rounds = Math.max(...cases.map(([, , values]) => values.length)) + 1;
  /** Row n holds each case's value number n; those that have fewer hold NULL. */
  const rowOf = (id: number): Row => ({
    id,
    ...Object.fromEntries(cases.map(([, , values], at) => [`c${at}`, values[id % rounds]?.[0] ?? null])),
  });

  test.each([
    ['arrays', rounds],
    ['COPY', copyFromRows],
  ])('written by %s and read back as text', async (way, count) => {
    const table = `by_${way.toLowerCase()}`;
    await fixture.execute(`CREATE TABLE ${table} (id int PRIMARY KEY, ${cases.map(([, type], at) => `c${at} ${type}`).join(', ')})`);
    const schema = tableOf(table, ['id'], [column('id', { nullable: false }), ...sources]);
    const sink = await fixture.open([mappingTo(schema)]);
    const findings = await sink.check([schema]);
    expect(findings.filter(({ level }) => level === 'error')).toEqual([]);
    const batches = new Batches(`${table}#0`);
    await sink.claim([batches.partition]);
    await sink.write(batches.of(Array.from({ length: count }, (_, id) => [0, schema, { op: 'insert', after: rowOf(id) }] as const)));
    const stored = await fixture.rows(`SELECT ${cases.map((_, at) => `c${at}`).join(', ')} FROM ${table} WHERE id < ${rounds} ORDER BY id`);
    const wrong = cases.flatMap(([source, type, values], at) =>
      stored.flatMap((cells, id) => {
        const [found, expected] = [cells[at] ?? null, values[id]?.[1] ?? null];
        return found === expected ? [] : [{ kind: source.kind ?? 'integer', type, found, expected }];
      }),
    );
    expect(wrong).toEqual([]);
    expect(fixture.logged).toEqual([]);
  });

  test('the table that check proposes for any of them leaves nothing to be said', async () => {
    const schema = tableOf('proposed', ['id'], [column('id', { nullable: false }), ...sources]);
    const sink = await fixture.open([mappingTo(schema)]);
    for (const { fix } of await sink.check([schema])) await fixture.execute(fix ?? '');
    expect(await sink.check([schema])).toEqual([]);
    const batches = new Batches('proposed#0');
    await sink.claim([batches.partition]);
    // What Postgres has no exact form for is a case of its own, into a text.
    const rows = Array.from({ length: rounds }, (_, id) => rowOf(id)).map((row): Row => {
      const texts = cases.flatMap(([, type], at) => (isText(type) ? [[`c${at}`, null]] : []));
      return { ...row, ...(Object.fromEntries(texts) as Row) };
    });
    expect(await sink.write(batches.of(rows.map((after) => [0, schema, { op: 'insert', after }] as const)))).toBe('committed');
  });
});
