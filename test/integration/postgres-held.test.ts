/** Unique values and foreign keys that cross partitions: what one refuses another makes right, in any interleaving. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { openPostgresSink } from '../../connectors/postgres/sink.ts';
import type { Row, TableSchema } from '../../src/core/change.ts';
import type { Entry, Sink, SinkBatch } from '../../src/core/sink-port.ts';
import { versionOf, versionPrefix } from '../../src/core/version.ts';
import type { Operation } from '../contract/sink-histories.ts';
import { column, mappingTo, postgresFixture, tableOf, type PostgresFixture } from './postgres-fixture.ts';

const seats = tableOf(
  'seats',
  ['id'],
  [column('id', { nullable: false }), column('guest', { kind: 'string', type: 'varchar(40)', length: 40 })],
);
const bags = tableOf('bags', ['id'], [column('id', { nullable: false }), column('seat')]);
const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

interface Change {
  readonly table: TableSchema;
  readonly operation: Operation;
  readonly partition: number;
}

/** What a source with the same constraints could have done, one change a transaction but for swaps and moves, which are whole ones. */
class Source {
  readonly seats = new Map<number, string>();
  readonly bags = new Map<number, number>();
  readonly transactions: Change[][] = [];

  seat(id: number, guest: string): void {
    const before = this.seats.get(id);
    if ([...this.seats].some(([other, taken]) => taken === guest && other !== id)) return;
    this.seats.set(id, guest);
    this.#did([
      this.#of(
        seats,
        id,
        before === undefined
          ? { op: 'insert', after: { id, guest } }
          : { op: 'update', before: { id, guest: before }, after: { id, guest } },
      ),
    ]);
  }

  swap(one: number, other: number): void {
    const [left, right] = [this.seats.get(one), this.seats.get(other)];
    if (left === undefined || right === undefined || one === other) return;
    const step = (id: number, from: string, to: string) =>
      this.#of(seats, id, { op: 'update', before: { id, guest: from }, after: { id, guest: to } });
    this.seats.set(one, right).set(other, left);
    this.#did([step(one, left, 'on the way'), step(other, right, left), step(one, 'on the way', right)]);
  }

  leave(id: number): void {
    const guest = this.seats.get(id);
    if (guest === undefined || [...this.bags.values()].includes(id)) return;
    this.seats.delete(id);
    this.#did([this.#of(seats, id, { op: 'delete', before: { id, guest } })]);
  }

  bag(id: number, seat: number): void {
    const before = this.bags.get(id);
    if (!this.seats.has(seat)) return;
    this.bags.set(id, seat);
    this.#did([
      this.#of(
        bags,
        id,
        before === undefined ? { op: 'insert', after: { id, seat } } : { op: 'update', before: { id, seat: before }, after: { id, seat } },
      ),
    ]);
  }

  /** With its bags, as ON UPDATE CASCADE does; the log has it as a delete and an insert. */
  move(from: number, to: number): void {
    const guest = this.seats.get(from);
    if (guest === undefined || this.seats.has(to)) return;
    this.seats.delete(from);
    this.seats.set(to, guest);
    const moved = [...this.bags].filter(([, seat]) => seat === from).map(([id]) => id);
    for (const id of moved) this.bags.set(id, to);
    this.#did([
      this.#of(seats, from, { op: 'delete', before: { id: from, guest } }),
      this.#of(seats, to, { op: 'insert', after: { id: to, guest } }),
      ...moved.map((id) => this.#of(bags, id, { op: 'update', before: { id, seat: from }, after: { id, seat: to } })),
    ]);
  }

  #of(table: TableSchema, id: number, operation: Operation): Change {
    return { table, operation, partition: id % 2 };
  }
  #did(changes: Change[]): void {
    this.transactions.push(changes);
  }
}

/** A partition's changes as batches of its own, each of `sizes` transactions. */
function batchesOf(source: Source, number: number, partition: string, sizes: readonly number[]): SinkBatch[] {
  const mine = source.transactions
    .map((changes, transaction) => ({ transaction, changes: changes.filter((each) => each.partition === number) }))
    .filter(({ changes }) => changes.length > 0);
  const batches: SinkBatch[] = [];
  let offset = 0;
  for (let at = 0, turn = 0; at < mine.length; turn += 1) {
    const some = mine.slice(at, at + (sizes[turn % sizes.length] ?? 1));
    at += some.length;
    const entries = some.flatMap(({ transaction, changes }) =>
      changes.map(({ table, operation }, ordinal): Entry => {
        const version = versionOf(versionPrefix({ epoch: 1, file: 1, offset: transaction + 1 }), ordinal, 2);
        return {
          mapping: table === seats ? 0 : 1,
          event: {
            ...operation,
            schema: table,
            version,
            committedAtUs: 1_763_700_000_000_000 + transaction,
            transactionId: `t:${transaction}`,
          },
        };
      }),
    );
    offset += entries.length;
    const { version, committedAtUs, transactionId } = entries.at(-1)?.event ?? { version: '', committedAtUs: 0, transactionId: '' };
    const progress = {
      logId: 'log-1',
      nextOffset: offset,
      lastOffset: offset - 1,
      term: 1,
      version,
      committedAtUs,
      transactionId,
      mappingHash: 'hash',
    };
    batches.push({ partition, entries, progress, open: false });
  }
  return batches;
}

const wish = fc.record({
  kind: fc.constantFrom('seat' as const, 'seat' as const, 'swap' as const, 'leave' as const, 'bag' as const, 'move' as const),
  id: fc.integer({ min: 1, max: 6 }),
  other: fc.integer({ min: 1, max: 6 }),
  guest: fc.constantFrom('ann', 'bob', 'cy', 'dee'),
});

describe('constraints across partitions', () => {
  let fixture: PostgresFixture;
  const sinks: Sink[] = [];
  beforeAll(async () => {
    fixture = await postgresFixture();
    await fixture.execute(`CREATE TABLE seats (id int PRIMARY KEY, guest varchar(40) UNIQUE);
      CREATE TABLE bags (id int PRIMARY KEY, seat int REFERENCES seats)`);
  });
  afterAll(async () => {
    for (const sink of sinks) await sink[Symbol.asyncDispose]();
    await fixture[Symbol.asyncDispose]();
  });
  const open = async (partitions: readonly string[]) => {
    const mappings = [mappingTo(seats), mappingTo(bags)];
    const sink = await openPostgresSink(fixture.settings, {
      pipeline: 'held',
      service: partitions[0] ?? '',
      mappings,
      logger: quiet,
      partitions,
    });
    sinks.push(sink);
    return sink;
  };
  const stored = async (sql: string) => (await fixture.rows(sql)).map((row) => row.map(String));

  test('G2: any history that a source with these constraints accepted ends in the same tables, whoever is ahead, with takeovers; nothing needs to be DEFERRABLE', async () => {
    let run = 0;
    const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
    process.stdout.write(`postgres held: SEED=${seed}\n`);
    const plan = fc.record({
      wishes: fc.array(wish, { minLength: 3, maxLength: 40 }),
      sizes: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 5 }),
      turns: fc.array(fc.boolean(), { minLength: 1, maxLength: 12 }),
      takeover: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(plan, async ({ wishes, sizes, turns, takeover }) => {
        await fixture.execute('TRUNCATE seats, bags');
        const source = new Source();
        for (const { kind, id, other, guest } of wishes) {
          if (kind === 'seat') source.seat(id, guest);
          else if (kind === 'swap') source.swap(id, other);
          else if (kind === 'leave') source.leave(id);
          else if (kind === 'bag') source.bag(id, other);
          else source.move(id, other);
        }
        const names = [`r${(run += 1)}#0`, `r${run}#1`] as const;
        const queues = names.map((name, number) => batchesOf(source, number, name, sizes));
        let workers = [await open(names), await open(names)] as const;
        await workers[0].claim([names[0]]);
        await workers[1].claim([names[1]]);
        for (let turn = 0; queues.some((queue) => queue.length > 0); turn += 1) {
          const number = (turns[turn % turns.length] ?? true) === (queues[0]?.length ?? 0) > 0 ? 0 : 1;
          const mine = queues[number]?.length ? number : 1 - number;
          const batch = queues[mine]?.shift();
          if (batch) await workers[mine as 0 | 1].write(batch);
          if (turn % 3 === 0) await workers[mine as 0 | 1].tend?.(undefined);
          if (takeover && turn === 4) {
            workers = [workers[1], workers[0]];
            await workers[0].claim([names[0]]);
            await workers[1].claim([names[1]]);
          }
        }
        for (let freed = 1; freed > 0;) freed = ((await workers[0].tend?.(undefined)) ?? 0) + ((await workers[1].tend?.(undefined)) ?? 0);
        // A parent that moves with its children, or a circle of rows that passed through states which are gone by now: none of
        // them can go first, so one worker must write them in one transaction.
        await workers[0].claim(names);
        while (((await workers[0].tend?.(undefined)) ?? 0) > 0);
        const rows = (map: ReadonlyMap<number, number | string>) =>
          [...map].sort(([a], [b]) => a - b).map(([id, value]) => [String(id), String(value)]);
        expect(await workers[0].quarantine?.list('all')).toEqual([]);
        expect(await stored('SELECT id, guest FROM seats ORDER BY id')).toEqual(rows(source.seats));
        expect(await stored('SELECT id, seat FROM bags ORDER BY id')).toEqual(rows(source.bags));
        for (const sink of sinks.splice(0)) await sink[Symbol.asyncDispose]();
      }),
      { numRuns: Number(process.env['HELD_HISTORIES'] ?? 15), seed, endOnFailure: true },
    );
  }, 180_000);

  test('G2: rows that need each other pass in one transaction where the target lets its constraints wait, beside poison', async () => {
    await fixture.execute(
      `CREATE TABLE ring (id int PRIMARY KEY, next int REFERENCES ring DEFERRABLE INITIALLY IMMEDIATE, note varchar(3))`,
    );
    const ring = tableOf(
      'ring',
      ['id'],
      [column('id', { nullable: false }), column('next'), column('note', { kind: 'string', type: 'varchar(40)', length: 40 })],
    );
    const sink = await openPostgresSink(fixture.settings, {
      pipeline: 'held',
      service: 'ring',
      mappings: [mappingTo(ring)],
      logger: quiet,
      onPoison: 'quarantine',
      partitions: ['ring#0'],
    });
    sinks.push(sink);
    await sink.claim(['ring#0']);
    const common = { schema: ring, committedAtUs: 1, transactionId: 't:1' };
    const put = (after: Row, ordinal: number): Entry => ({
      mapping: 0,
      event: { op: 'insert', after, version: versionOf(versionPrefix({ epoch: 1, file: 1, offset: 1 }), ordinal, 2), ...common },
    });
    const entries = [
      put({ id: 1, next: 2, note: 'a' }, 0),
      put({ id: 2, next: 1, note: 'b' }, 1),
      put({ id: 3, next: null, note: 'too long' }, 2),
    ];
    const progress = {
      logId: 'l',
      nextOffset: 3,
      lastOffset: 2,
      term: 1,
      version: entries[2]?.event.version ?? '',
      transactionId: 't:1',
      committedAtUs: 1,
      mappingHash: 'h',
    };
    expect(await sink.write({ partition: 'ring#0', entries, progress, open: false })).toBe('committed');
    expect(await stored('SELECT id FROM ring ORDER BY id')).toEqual([['1'], ['2']]);
    expect(await sink.quarantine?.list('heads')).toMatchObject([{ state: 'quarantined' }]);
  });

  test('G9: a batch with thousands of refused rows is sorted out in bounded steps', async () => {
    await fixture.execute('TRUNCATE seats, bags');
    const sink = await openPostgresSink(fixture.settings, {
      pipeline: 'held',
      service: 'many',
      mappings: [mappingTo(seats), mappingTo(bags)],
      logger: quiet,
      partitions: ['many#0', 'many#1'],
    });
    sinks.push(sink);
    await sink.claim(['many#0', 'many#1']);
    const source = new Source();
    for (let id = 2; id <= 3000; id += 2) source.seat(id, `guest ${id}`);
    for (let id = 1; id <= 3000; id += 2) source.bag(id, id + 1);
    const [right] = batchesOf(source, 1, 'many#1', [3000]);
    const [left] = batchesOf(source, 0, 'many#0', [3000]);
    if (!left || !right) throw new Error('both have changes');
    await sink.write(right);
    expect(await sink.quarantine?.totals()).toMatchObject([{ held: 1500 }]);
    await sink.write(left);
    for (let freed = 1; freed > 0;) freed = (await sink.tend?.(undefined)) ?? 0;
    expect(await stored('SELECT count(*) FROM bags')).toEqual([['1500']]);
    expect(sink.holds).toBe(false);
  }, 120_000);
});
