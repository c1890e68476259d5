import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import type { Row } from '../../src/core/change.ts';
import type { Mapping, SinkBatch } from '../../src/core/sink-port.ts';
import { Batches, column, mappingTo, postgresFixture, tableOf, type PostgresFixture } from './postgres-fixture.ts';

const firms = tableOf('firms', ['id'], [column('id', { nullable: false })]);
const staff = tableOf('staff', ['id'], [column('id', { nullable: false }), column('firm')]);

const put = (mapping: number, schema: typeof firms, after: Row) => [mapping, schema, { op: 'insert' as const, after }] as const;
const emptied = (mapping: number, schema: typeof firms) => [mapping, schema, { op: 'truncate' as const }] as const;
const many = (from: number, count: number) => Array.from({ length: count }, (_, index) => put(0, firms, { id: from + index }));

describe('G2: a TRUNCATE of the source', () => {
  let fixture: PostgresFixture;
  let count = 0;
  beforeAll(async () => {
    fixture = await postgresFixture();
    await fixture.execute('CREATE TABLE firms (id int PRIMARY KEY); CREATE TABLE staff (id int PRIMARY KEY, firm int)');
  });
  beforeEach(() => fixture.execute('TRUNCATE firms, staff; ALTER TABLE staff DROP CONSTRAINT IF EXISTS works_for'));
  afterAll(async () => {
    await fixture[Symbol.asyncDispose]();
  });

  async function prepared(mappings: readonly Mapping[] = [mappingTo(firms), mappingTo(staff)]) {
    const sink = await fixture.open(mappings);
    const batches = new Batches(`truncate-${(count += 1)}#0`);
    await sink.claim([batches.partition]);
    const alone = (batch: SinkBatch): SinkBatch => ({ ...batch, barrier: [batches.partition] });
    return { sink, batches, alone };
  }
  const ids = async (table: string) => (await fixture.rows(`SELECT id FROM ${table} ORDER BY id`)).map(([id]) => Number(id));

  test('a reader sees all rows until it is committed, and is never locked out', async () => {
    const { sink, batches, alone } = await prepared();
    await sink.write(batches.of(many(0, 10)));
    await fixture.execute('BEGIN ISOLATION LEVEL REPEATABLE READ');
    expect(await ids('firms')).toHaveLength(10);
    expect(await sink.write(alone(batches.of([emptied(0, firms)])))).toBe('committed');
    expect(await ids('firms')).toHaveLength(10);
    await fixture.execute('COMMIT');
    expect(await ids('firms')).toEqual([]);
  });

  describe('where emptying would touch rows of other tables', () => {
    test.each(['CASCADE', 'SET NULL', 'SET DEFAULT'])(
      'children that the target would take along (ON DELETE %s) stop it; without children it passes',
      async (action) => {
        await fixture.execute(`ALTER TABLE staff ADD CONSTRAINT works_for FOREIGN KEY (firm) REFERENCES firms ON DELETE ${action}`);
        const { sink, batches, alone } = await prepared();
        await sink.write(batches.of([put(0, firms, { id: 1 }), put(1, staff, { id: 7, firm: 1 }), put(1, staff, { id: 8, firm: null })]));
        const truncate = alone(batches.of([emptied(0, firms)]));
        await expect(sink.write(truncate)).rejects.toMatchObject({
          code: 'TARGET_CONSTRAINT',
          fault: 'fatal',
          message: expect.stringMatching(/shop\.firms → public\.firms: .*public\.staff.*"works_for"/) as string,
          remedy: expect.stringContaining('ALTER TABLE "public"."staff" DROP CONSTRAINT "works_for";') as string,
        });
        expect(await fixture.rows('SELECT id, firm FROM staff ORDER BY id')).toEqual([
          ['7', '1'],
          ['8', null],
        ]);
        await fixture.execute('DELETE FROM staff WHERE id = 7');
        await sink.claim([batches.partition]);
        expect(await sink.write(truncate)).toBe('committed');
        expect([await ids('firms'), await ids('staff')]).toEqual([[], [8]]);
      },
    );

    test('a child that names only half of a key of two columns points at nothing, and stops nothing', async () => {
      const pairs = tableOf('pairs', ['a', 'b'], [column('a', { nullable: false }), column('b', { nullable: false })]);
      await fixture.execute(`CREATE TABLE pairs (a int, b int, PRIMARY KEY (a, b));
        CREATE TABLE halves (id int PRIMARY KEY, a int, b int, FOREIGN KEY (a, b) REFERENCES pairs ON DELETE CASCADE);
        INSERT INTO halves VALUES (1, 1, NULL), (2, NULL, 1)`);
      try {
        const { sink, batches, alone } = await prepared([mappingTo(pairs)]);
        await sink.write(batches.of([[0, pairs, { op: 'insert', after: { a: 1, b: 1 } }]]));
        expect(await sink.write(alone(batches.of([emptied(0, pairs)])))).toBe('committed');
        expect([await fixture.rows('SELECT a FROM pairs'), await ids('halves')]).toEqual([[], [1, 2]]);
        await sink.write(batches.of([[0, pairs, { op: 'insert', after: { a: 1, b: 1 } }]]));
        await fixture.execute('INSERT INTO halves VALUES (3, 1, 1)');
        await expect(sink.write(alone(batches.of([emptied(0, pairs)])))).rejects.toMatchObject({ code: 'TARGET_CONSTRAINT' });
        expect(await ids('halves')).toEqual([1, 2, 3]);
      } finally {
        await fixture.execute('DROP TABLE halves, pairs');
      }
    });

    test('children that no cascade takes stop it as any foreign key does', async () => {
      await fixture.execute('ALTER TABLE staff ADD CONSTRAINT works_for FOREIGN KEY (firm) REFERENCES firms');
      const { sink, batches, alone } = await prepared();
      await sink.write(batches.of([put(0, firms, { id: 1 }), put(1, staff, { id: 7, firm: 1 })]));
      await expect(sink.write(alone(batches.of([emptied(0, firms)])))).rejects.toMatchObject({
        code: 'TARGET_CONSTRAINT',
        message: expect.stringContaining('works_for') as string,
      });
      expect([await ids('firms'), await ids('staff')]).toEqual([[1], [7]]);
    });

    test('a target that two tables share stops it: nothing tells their rows apart', async () => {
      const others = tableOf('others', ['id'], [column('id', { nullable: false })]);
      const { sink, batches, alone } = await prepared([mappingTo(firms), mappingTo(others, 'public."firms"')]);
      await sink.write(batches.of([put(0, firms, { id: 1 }), put(1, others, { id: 2 })]));
      await expect(sink.write(alone(batches.of([emptied(0, firms)])))).rejects.toMatchObject({
        code: 'TARGET_CONSTRAINT',
        fault: 'fatal',
        message: expect.stringContaining('shop.others is written to the same target') as string,
      });
      expect(await ids('firms')).toEqual([1, 2]);
    });
  });

  test('a table of progress that an earlier release made learns about barriers', async () => {
    await fixture.execute('ALTER TABLE crossfade.progress DROP COLUMN arrival');
    const { sink, batches, alone } = await prepared();
    await sink.write(batches.of(many(0, 3)));
    expect(await sink.write(alone(batches.of([emptied(0, firms)])))).toBe('committed');
    expect(await ids('firms')).toEqual([]);
  });
});
