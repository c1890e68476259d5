import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { copyFromRows } from '../../connectors/postgres/batch.ts';
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

  test('is never folded away: what comes before it in a batch is gone, what comes behind it is there', async () => {
    const { sink, batches } = await prepared();
    await sink.write(batches.of([put(0, firms, { id: 1 }), put(1, staff, { id: 1, firm: 1 })]));
    await sink.write(batches.of([put(0, firms, { id: 2 }), emptied(0, firms), put(0, firms, { id: 2 }), put(0, firms, { id: 3 })]));
    expect(await ids('firms')).toEqual([2, 3]);
    expect(await ids('staff')).toEqual([1]);
    await sink.write(batches.of([put(0, firms, { id: 4 }), emptied(0, firms), emptied(1, staff)]));
    expect([await ids('firms'), await ids('staff')]).toEqual([[], []]);
  });

  test('between two COPYs of one batch', async () => {
    const { sink, batches } = await prepared();
    await sink.write(batches.of([...many(0, copyFromRows), emptied(0, firms), ...many(copyFromRows - 5, copyFromRows)]));
    expect(await fixture.rows('SELECT count(*), min(id) FROM firms')).toEqual([[String(copyFromRows), String(copyFromRows - 5)]]);
  });

  test('with a batch that goes one by one', async () => {
    await fixture.execute('CREATE TABLE seats (id int PRIMARY KEY, guest text UNIQUE)');
    const seats = tableOf('seats', ['id'], [column('id'), column('guest', { kind: 'string', type: 'text' })]);
    const { sink, batches } = await prepared([mappingTo(seats)]);
    await sink.write(batches.of([put(0, seats, { id: 1, guest: 'a' }), put(0, seats, { id: 2, guest: 'b' })]));
    const swap = (id: number, guest: string) =>
      [0, seats, { op: 'update' as const, before: { id, guest: '' }, after: { id, guest } }] as const;
    fixture.logged.length = 0;
    await sink.write(batches.of([swap(1, 'c'), swap(2, 'a'), swap(1, 'b'), emptied(0, seats), put(0, seats, { id: 9, guest: 'a' })]));
    expect(fixture.logged).toHaveLength(1);
    expect(await fixture.rows('SELECT id, guest FROM seats')).toEqual([['9', 'a']]);
  });

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

  describe.each([
    ['in a batch of its own', true],
    ['within a batch', false],
  ])('%s', (_name, isAlone) => {
    const shape = (batch: SinkBatch, alone: (batch: SinkBatch) => SinkBatch) => (isAlone ? alone(batch) : batch);

    test.each(['CASCADE', 'SET NULL', 'SET DEFAULT'])(
      'children that the target would take along (ON DELETE %s) stop it; without children it passes',
      async (action) => {
        await fixture.execute(`ALTER TABLE staff ADD CONSTRAINT works_for FOREIGN KEY (firm) REFERENCES firms ON DELETE ${action}`);
        const { sink, batches, alone } = await prepared();
        await sink.write(batches.of([put(0, firms, { id: 1 }), put(1, staff, { id: 7, firm: 1 }), put(1, staff, { id: 8, firm: null })]));
        const truncate = shape(batches.of([emptied(0, firms)]), alone);
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

    test('children that no cascade takes stop it as any foreign key does', async () => {
      await fixture.execute('ALTER TABLE staff ADD CONSTRAINT works_for FOREIGN KEY (firm) REFERENCES firms');
      const { sink, batches, alone } = await prepared();
      await sink.write(batches.of([put(0, firms, { id: 1 }), put(1, staff, { id: 7, firm: 1 })]));
      await expect(sink.write(shape(batches.of([emptied(0, firms)]), alone))).rejects.toMatchObject({
        code: 'TARGET_CONSTRAINT',
        message: expect.stringContaining('works_for') as string,
      });
      expect([await ids('firms'), await ids('staff')]).toEqual([[1], [7]]);
    });

    test('a target that two tables share stops it: nothing tells their rows apart', async () => {
      const others = tableOf('others', ['id'], [column('id', { nullable: false })]);
      const { sink, batches, alone } = await prepared([mappingTo(firms), mappingTo(others, 'public."firms"')]);
      await sink.write(batches.of([put(0, firms, { id: 1 }), put(1, others, { id: 2 })]));
      await expect(sink.write(shape(batches.of([emptied(0, firms)]), alone))).rejects.toMatchObject({
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
