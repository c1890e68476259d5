import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Row } from '../../src/core/change.ts';
import { CrossfadeError } from '../../src/core/errors.ts';
import { Batches, column, mappingTo, postgresFixture, tableOf, type PostgresFixture } from './postgres-fixture.ts';

const seats = tableOf(
  'seats',
  ['id'],
  [column('id', { nullable: false }), column('guest', { kind: 'string', type: 'varchar(40)', length: 40 })],
);
const parents = tableOf('parents', ['id'], [column('id', { nullable: false })]);
const children = tableOf('children', ['id'], [column('id', { nullable: false }), column('parent')]);

const put = (index: number, schema: typeof seats, after: Row) => [index, schema, { op: 'insert' as const, after }] as const;
const change = (index: number, schema: typeof seats, before: Row, after: Row) =>
  [index, schema, { op: 'update' as const, before, after }] as const;
const drop = (index: number, schema: typeof seats, before: Row) => [index, schema, { op: 'delete' as const, before }] as const;
const seat = (id: number, guest: string): Row => ({ id, guest });

async function failure(work: Promise<unknown>): Promise<CrossfadeError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof CrossfadeError)) throw new Error('expected a CrossfadeError', { cause: error });
  return error;
}

describe('unique values and foreign keys inside a batch', () => {
  let fixture: PostgresFixture;
  beforeAll(async () => {
    fixture = await postgresFixture();
    await fixture.execute(`
      CREATE TABLE seats (id int PRIMARY KEY, guest varchar(40) CONSTRAINT one_seat_each UNIQUE);
      CREATE TABLE parents (id int PRIMARY KEY);
      CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents);`);
  });
  afterAll(async () => {
    await fixture[Symbol.asyncDispose]();
  });
  const guests = () => fixture.rows('SELECT id, guest FROM seats ORDER BY id');

  test.each([false, true])('a swap of unique values (inside an open transaction: %s)', async (open) => {
    await fixture.execute('TRUNCATE seats');
    const sink = await fixture.open([mappingTo(seats)]);
    const batches = new Batches(`swap-${open}#0`);
    await sink.claim([batches.partition]);
    await sink.write(batches.of([put(0, seats, seat(1, 'ann')), put(0, seats, seat(2, 'bob')), put(0, seats, seat(3, 'cy'))]));
    if (open) await sink.write(batches.of([put(0, seats, seat(4, 'dee'))], true));
    fixture.logged.length = 0;
    await sink.write(
      batches.of(
        [
          change(0, seats, seat(1, 'ann'), seat(1, 'nobody')),
          change(0, seats, seat(2, 'bob'), seat(2, 'ann')),
          change(0, seats, seat(1, 'nobody'), seat(1, 'bob')),
        ],
        open,
      ),
    );
    expect(fixture.logged).toEqual(['batch violates a constraint as a set, applying its changes one by one']);
    const last = open ? await sink.write(batches.of([drop(0, seats, seat(3, 'cy'))])) : 'committed';
    expect(last).toBe('committed');
    expect(await guests()).toEqual(
      open
        ? [
            ['1', 'bob'],
            ['2', 'ann'],
            ['4', 'dee'],
          ]
        : [
            ['1', 'bob'],
            ['2', 'ann'],
            ['3', 'cy'],
          ],
    );
    expect((await sink.progress()).get(batches.partition)?.nextOffset).toBe(open ? 8 : 6);
  });

  test('a unique value that moves from a deleted row to a new one', async () => {
    await fixture.execute('TRUNCATE seats');
    const sink = await fixture.open([mappingTo(seats)]);
    const batches = new Batches('move#0');
    await sink.claim([batches.partition]);
    await sink.write(batches.of([put(0, seats, seat(1, 'ann'))]));
    await sink.write(batches.of([drop(0, seats, seat(1, 'ann')), put(0, seats, seat(2, 'ann'))]));
    expect(await guests()).toEqual([['2', 'ann']]);
  });

  test('foreign keys: a parent after its child in mapping order, and a parent that goes after its child', async () => {
    const sink = await fixture.open([mappingTo(children), mappingTo(parents)]);
    const batches = new Batches('family#0');
    await sink.claim([batches.partition]);
    await sink.write(batches.of([put(1, parents, { id: 1 }), put(0, children, { id: 10, parent: 1 })]));
    // The first table touched is the child's, yet the new child needs the new parent.
    await sink.write(
      batches.of([
        change(0, children, { id: 10, parent: 1 }, { id: 10, parent: null }),
        put(1, parents, { id: 2 }),
        change(0, children, { id: 10, parent: null }, { id: 10, parent: 2 }),
        drop(1, parents, { id: 1 }),
      ]),
    );
    expect(await fixture.rows('SELECT parent FROM children')).toEqual([['2']]);
    await sink.write(batches.of([drop(0, children, { id: 10, parent: 2 }), drop(1, parents, { id: 2 })]));
    expect(await fixture.rows('SELECT id FROM parents')).toEqual([]);
  });

  describe('a parent whose key changes together with its children (ON UPDATE CASCADE in the source)', () => {
    const firms = tableOf('firms', ['id'], [column('id', { nullable: false })]);
    const staff = tableOf('staff', ['id'], [column('id', { nullable: false }), column('firm')]);
    const worker = (firm: number): Row => ({ id: 10, firm });
    const plain = 'ALTER TABLE staff DROP CONSTRAINT staff_firm_fkey; ALTER TABLE staff ADD FOREIGN KEY (firm) REFERENCES firms';
    beforeAll(() =>
      fixture.execute('CREATE TABLE firms (id int PRIMARY KEY); CREATE TABLE staff (id int PRIMARY KEY, firm int REFERENCES firms)'),
    );

    async function prepared(name: string, isDeferrable: boolean) {
      await fixture.execute(`TRUNCATE firms, staff; ${plain}${isDeferrable ? ' DEFERRABLE INITIALLY IMMEDIATE' : ''}`);
      const sink = await fixture.open([mappingTo(firms), mappingTo(staff)]);
      const batches = new Batches(`${name}#0`);
      await sink.claim([batches.partition]);
      await sink.write(batches.of([put(0, firms, { id: 1 }), put(1, staff, worker(1))]));
      return { sink, batches };
    }
    const stored = () => fixture.rows('SELECT f.id, s.firm FROM firms f FULL JOIN staff s ON s.firm = f.id');
    // As the log has it: a change of the key is a delete and an insert.
    const moved = [drop(0, firms, { id: 1 }), put(0, firms, { id: 2 })];
    const followed = change(1, staff, worker(1), worker(2));

    test('passes in one batch', async () => {
      const { sink, batches } = await prepared('cascade', true);
      expect(await sink.write(batches.of([...moved, followed]))).toBe('committed');
      expect(await stored()).toEqual([['2', '2']]);
    });

    test.each([1, 2])('passes in a transaction that comes in parts, of which the first has %i changes', async (first) => {
      const { sink, batches } = await prepared(`cascade-parts-${first}`, true);
      expect(await sink.write(batches.of(moved.slice(0, first), true))).toBe('open');
      expect(await sink.write(batches.of([...moved.slice(first), followed]))).toBe('committed');
      expect(await stored()).toEqual([['2', '2']]);
    });

    test('stops where the children do not follow', async () => {
      const { sink, batches } = await prepared('cascade-lost', true);
      await expect(sink.write(batches.of(moved))).rejects.toMatchObject({ code: 'TARGET_CONSTRAINT', fault: 'fatal' });
      expect(await stored()).toEqual([['1', '1']]);
    });

    test('passes at a foreign key that cannot be deferred: the parent goes when its children have moved', async () => {
      const { sink, batches } = await prepared('cascade-plain', false);
      expect(await sink.check([firms, staff])).toEqual([]);
      expect(await sink.write(batches.of([...moved, followed]))).toBe('committed');
      expect(await stored()).toEqual([['2', '2']]);
    });

    test('passes in parts at a foreign key that cannot be deferred', async () => {
      const { sink, batches } = await prepared('cascade-plain-parts', false);
      expect(await sink.write(batches.of(moved.slice(0, 1), true))).toBe('open');
      expect(await sink.write(batches.of([...moved.slice(1), followed]))).toBe('committed');
      expect(await stored()).toEqual([['2', '2']]);
    });
  });

  test('G13: a violation that no order can avoid stops, names constraint, table, partition and offsets, and no value', async () => {
    await fixture.execute(`TRUNCATE seats; INSERT INTO seats VALUES (77, 'secret-guest')`);
    const sink = await fixture.open([mappingTo(seats)]);
    const batches = new Batches('clash#0');
    await sink.claim([batches.partition]);
    const error = await failure(sink.write(batches.of([put(0, seats, seat(1, 'x')), put(0, seats, seat(2, 'secret-guest'))])));
    expect(error).toMatchObject({ code: 'TARGET_CONSTRAINT', fault: 'fatal' });
    expect(error.message).toContain('one_seat_each');
    expect(error.message).toContain('clash#0');
    expect(error.message).toContain('at offsets 0 to 1');
    expect(JSON.stringify([error, error.message, error.remedy, error.stack, error.cause])).not.toContain('secret-guest');
    expect(await guests()).toEqual([['77', 'secret-guest']]);
    expect((await sink.progress()).get('clash#0')).toBeUndefined();
  });

  test('a deferred constraint that fails at COMMIT rolls everything back', async () => {
    await fixture.execute(`CREATE TABLE later (id int PRIMARY KEY, parent int REFERENCES parents DEFERRABLE INITIALLY DEFERRED)`);
    const later = tableOf('later', ['id'], [column('id'), column('parent')]);
    const sink = await fixture.open([mappingTo(later)]);
    const batches = new Batches('later#0');
    await sink.claim([batches.partition]);
    const error = await failure(sink.write(batches.of([put(0, later, { id: 1, parent: 404 })])));
    expect(error.code).toBe('TARGET_CONSTRAINT');
    expect(await fixture.rows('SELECT * FROM later')).toEqual([]);
    expect((await sink.progress()).get('later#0')).toBeUndefined();
  });
});
