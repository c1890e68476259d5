/**
 * What every log must do, whatever keeps it. Nothing here may lean on one implementation: offsets may have gaps (Kafka's
 * markers), so they are compared and handed back, never computed.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, expect, onTestFinished, test } from 'vitest';
import { CrossfadeError, type ErrorCode } from '../../src/core/errors.ts';
import type { Log, PartitionId, StreamSpec, Writer } from '../../src/core/ports.ts';
import type { RecordBatchBuilder } from '../../src/core/record-batch.ts';
import { collect, Consumer, numberOf, peopleSchema, range, rows, tombstone, transactionAt, until, versionAt } from './log-rows.ts';

export interface OpenOptions {
  /** Other streams than the harness was made with. */
  readonly streams?: readonly StreamSpec[];
  /** Limits of one delivery. */
  readonly deliveryBytes?: number;
  readonly deliveryRecords?: number;
}

/** One durable log and the hands on it that no port has. */
export interface LogHarness extends AsyncDisposable {
  /** One more process that opens the log. */
  open(options?: OpenOptions): Promise<Log>;
  /** That process is gone, without a goodbye. */
  kill(log: Log): Promise<void>;
  /** The election takes the leader for dead; nobody tells the leader. */
  depose(): Promise<void>;
  /** The group takes all its members for dead; nobody tells them. */
  expel(group: string): Promise<void>;
  /** Writes a batch behind the fence's back. */
  plant(partition: PartitionId, batch: RecordBatchBuilder): Promise<void>;
  /** Retention took everything below this offset, in whole batches. */
  truncateBelow(partition: PartitionId, offset: number): Promise<void>;
}

export const peopleStream: StreamSpec = { topic: 'shop.people', partitions: 1 };
const people: PartitionId = 'shop.people#0';
const ordersStream: StreamSpec = { topic: 'shop.orders', partitions: 4 };
const orders = (n: number): PartitionId => `shop.orders#${n}`;
const never = new AbortController().signal;

export function logContract(name: string, makeHarness: (streams: readonly StreamSpec[]) => Promise<LogHarness>): void {
  const start = async (streams: readonly StreamSpec[] = [peopleStream]) => {
    const harness = await makeHarness(streams);
    onTestFinished(() => harness[Symbol.asyncDispose]());
    return harness;
  };
  const consume = (...parts: ConstructorParameters<typeof Consumer>) => {
    const consumer = new Consumer(...parts);
    onTestFinished(() => consumer.stop());
    return consumer;
  };

  describe(`${name}: writing`, () => {
    test('rows come back in order, exactly as they were appended, tombstones too', async () => {
      const harness = await start();
      const log = await harness.open();
      const writer = await log.lead(never);
      await writer.append([{ partition: people, batch: rows(0, 3, { term: writer.term }) }]);
      await writer.append([{ partition: people, batch: tombstone(3, writer.term) }]);
      const records = await collect(log, new Map([[people, 0]]), 4);
      expect(records.map((record) => Buffer.from(record.key ?? []).toString())).toEqual(['{"id":0}', '{"id":1}', '{"id":2}', '{"id":3}']);
      expect(records.map((record) => record.value && Buffer.from(record.value).toString())).toEqual(['{"n":0}', '{"n":1}', '{"n":2}', null]);
      expect(records.map(({ version, term, committedAtUs, schemaId, open, timestampMs }) => [version, term, committedAtUs, schemaId, open, timestampMs])).toEqual(
        range(0, 4).map((n) => [versionAt(n), writer.term, n * 1000, peopleSchema.id, false, n]),
      );
      expect(ascends(records.map(({ offset }) => offset))).toBe(true);
    });

    test('several outstanding appends become durable and resolve in order', async () => {
      const harness = await start();
      const log = await harness.open();
      const writer = await log.lead(never);
      const resolved: number[] = [];
      await Promise.all(range(0, 20).map((n) => writer.append([{ partition: people, batch: rows(n, n + 1) }]).then(() => resolved.push(n))));
      expect(resolved).toEqual(range(0, 20));
      expect((await collect(log, new Map([[people, 0]]), 20)).map(numberOf)).toEqual(range(0, 20));
    });

    test('one append may go to many partitions, and to one twice', async () => {
      const harness = await start([ordersStream]);
      const log = await harness.open();
      const writer = await log.lead(never);
      await writer.append([
        { partition: orders(0), batch: rows(0, 2) },
        { partition: orders(3), batch: rows(2, 3) },
        { partition: orders(0), batch: rows(3, 5) },
      ]);
      expect((await collect(log, new Map([[orders(0), 0]]), 4)).map(numberOf)).toEqual([0, 1, 3, 4]);
      expect((await collect(log, new Map([[orders(3), 0]]), 1)).map(numberOf)).toEqual([2]);
    });

    test('an append that names a stream which was not opened is refused as a whole', async () => {
      const harness = await start();
      const log = await harness.open();
      const writer = await log.lead(never);
      const refused = writer.append([
        { partition: people, batch: rows(0, 1) },
        { partition: 'shop.unknown#0', batch: rows(1, 2) },
      ]);
      await expectCode(refused, 'INVARIANT');
      expect((await log.state()).partitions.get(people)).toEqual({ startOffset: 0, endOffset: 0 });
    });

    test('after a failed append nothing follows it, or the log would have a gap', async () => {
      const harness = await start();
      const log = await harness.open();
      const writer = await log.lead(never);
      const failed = writer.append([{ partition: 'shop.unknown#0', batch: rows(0, 1) }]);
      const behind = writer.append([{ partition: people, batch: rows(1, 2) }]);
      await expectCode(failed, 'INVARIANT');
      await expectCode(behind, 'LOG_FAILED');
      await expectCode(writer.complete({ position: 'p', throughUs: 1, writtenAtMs: 1 }), 'LOG_FAILED');
      expect((await log.state()).partitions.get(people)?.endOffset).toBe(0);
    });

    test('a builder is free for reuse once its append resolved', async () => {
      const harness = await start();
      const log = await harness.open();
      const writer = await log.lead(never);
      const batch = rows(0, 50);
      await writer.append([{ partition: people, batch }]);
      batch.reset();
      await writer.append([{ partition: people, batch: rows(50, 51) }]);
      expect((await collect(log, new Map([[people, 0]]), 51)).map(numberOf)).toEqual(range(0, 51));
    });

    test('a large batch and a huge record go through whole', async () => {
      const harness = await start();
      const log = await harness.open();
      const writer = await log.lead(never);
      await writer.append([{ partition: people, batch: rows(0, 30_000) }]);
      await writer.append([{ partition: people, batch: rows(30_000, 30_001, { valueBytes: 20 * 1024 * 1024 }) }]);
      const records = await collect(log, new Map([[people, 0]]), 30_001);
      expect(records.map(numberOf)).toEqual(range(0, 30_001));
      expect(records.at(-1)?.value?.length).toBe(20 * 1024 * 1024);
    });

    test('a thousand partitions are written and read together', async () => {
      const wide: StreamSpec = { topic: 'shop.wide', partitions: 1000 };
      const harness = await start([wide]);
      const log = await harness.open();
      const writer = await log.lead(never);
      await writer.append(range(0, 1000).map((n) => ({ partition: `shop.wide#${n}`, batch: rows(n, n + 1) })));
      const reader = consume(await harness.open(), 'g');
      await until('all partitions delivered', () => reader.numbers().length === 1000);
      expect(reader.numbers().sort((a, b) => a - b)).toEqual(range(0, 1000));
      expect(new Set(reader.claimed).size).toBe(1000);
    });
  });

  describe(`${name}: leading`, () => {
    test('one leads, the other stands by until the first is gone, and the term grows', async () => {
      const harness = await start();
      const first = await harness.open();
      const writer = await first.lead(never);
      const second = await harness.open();
      let leads = false;
      const standby = second.lead(never).then((next) => {
        leads = true;
        return next;
      });
      await writer.append([{ partition: people, batch: rows(0, 1) }]);
      expect(leads).toBe(false);
      await writer[Symbol.asyncDispose]();
      expect((await standby).term).toBeGreaterThan(writer.term);
    });

    test('a killed leader frees its place', async () => {
      const harness = await start();
      const first = await harness.open();
      const writer = await first.lead(never);
      const standby = (await harness.open()).lead(never);
      await harness.kill(first);
      expect((await standby).term).toBeGreaterThan(writer.term);
    });

    test('a fenced writer writes nothing by append, define, start or complete', async () => {
      const harness = await start();
      const old = await harness.open();
      const writes: ((writer: Writer) => Promise<void>)[] = [
        (writer) => writer.append([{ partition: people, batch: rows(7, 8) }]),
        (writer) => writer.define(peopleSchema),
        (writer) => writer.start({ position: 'stolen', writtenAtMs: 1 }),
        (writer) => writer.complete({ position: 'stolen', throughUs: 1, writtenAtMs: 1 }),
      ];
      for (const write of writes) {
        const frozen = await old.lead(never);
        await harness.depose();
        const log = await harness.open();
        const next = await log.lead(never);
        await expectCode(write(frozen), 'LOG_FENCED');
        const { start, complete, partitions } = await next.tail();
        expect({ start, complete, end: partitions.get(people)?.endOffset }).toEqual({ start: undefined, complete: undefined, end: 0 });
        expect(await log.schema(peopleSchema.id)).toBeUndefined();
        await frozen[Symbol.asyncDispose]();
        await next[Symbol.asyncDispose]();
      }
    });

    test('a fenced writer that is disposed late does not take the place of its successor', async () => {
      const harness = await start();
      const frozen = await (await harness.open()).lead(never);
      await harness.depose();
      const writer = await (await harness.open()).lead(never);
      await frozen[Symbol.asyncDispose]();
      await writer.append([{ partition: people, batch: rows(0, 1, { term: writer.term }) }]);
      const third = new AbortController();
      const standby = (await harness.open()).lead(third.signal);
      third.abort();
      await expect(standby).rejects.toThrow();
    });

    test('state names who leads', async () => {
      const harness = await start();
      const log = await harness.open();
      expect((await log.state()).leader).toBeUndefined();
      const writer = await log.lead(never);
      expect((await log.state()).leader).toContain(String(writer.term));
      await writer[Symbol.asyncDispose]();
      expect((await log.state()).leader).toBeUndefined();
    });
  });

  describe(`${name}: control records and tails`, () => {
    test('a new log has no start, no complete record and empty tails', async () => {
      const harness = await start([peopleStream, ordersStream]);
      const tail = await (await (await harness.open()).lead(never)).tail();
      expect([tail.start, tail.complete]).toEqual([undefined, undefined]);
      expect(tail.partitions.size).toBe(5);
      for (const partition of tail.partitions.values()) expect(partition.last).toBeUndefined();
    });

    test('the start record is written once and stays', async () => {
      const harness = await start();
      const first = await harness.open();
      const writer = await first.lead(never);
      await writer.start({ position: 'gtid:1', writtenAtMs: 5 });
      await expectCode(writer.start({ position: 'gtid:2', writtenAtMs: 6 }), 'INVARIANT');
      await harness.kill(first);
      const log = await harness.open();
      expect((await log.state()).start).toEqual({ position: 'gtid:1', writtenAtMs: 5 });
      expect((await (await log.lead(never)).tail()).start).toEqual({ position: 'gtid:1', writtenAtMs: 5 });
    });

    test('G7: a definition is there for ever once define resolved', async () => {
      const harness = await start();
      const first = await harness.open();
      const writer = await first.lead(never);
      await writer.define(peopleSchema);
      await writer.define(peopleSchema);
      await harness.kill(first);
      const log = await harness.open();
      expect(await log.schema(peopleSchema.id)).toEqual(peopleSchema);
      expect(await log.schema('unknown')).toBeUndefined();
      await (await log.lead(never)).define(peopleSchema);
    });

    test('the last complete record names the end of every partition that has any', async () => {
      const harness = await start([ordersStream]);
      const log = await harness.open();
      const writer = await log.lead(never);
      await writer.append([{ partition: orders(0), batch: rows(0, 5) }]);
      await writer.complete({ position: 'one', throughUs: 1, writtenAtMs: 1 });
      const zero = (await writer.tail()).partitions.get(orders(0))?.endOffset;
      await writer.append([{ partition: orders(1), batch: rows(5, 7) }]);
      await writer.complete({ position: 'two', throughUs: 2, writtenAtMs: 2 });
      const one = (await writer.tail()).partitions.get(orders(1))?.endOffset;
      await writer.append([{ partition: orders(0), batch: rows(7, 9) }]);
      const expected = { position: 'two', throughUs: 2, writtenAtMs: 2, term: writer.term, ends: { [orders(0)]: zero, [orders(1)]: one } };
      expect((await log.state()).complete).toEqual(expected);
      expect((await writer.tail()).complete).toEqual(expected);
    });

    test('after a crash the tail tells what lies behind the last complete record', async () => {
      const harness = await start([peopleStream, ordersStream]);
      const first = await harness.open();
      const writer = await first.lead(never);
      await writer.start({ position: 'begin', writtenAtMs: 1 });
      await writer.append([{ partition: people, batch: rows(0, 3) }]);
      await writer.complete({ position: 'three', throughUs: 3, writtenAtMs: 3 });
      await writer.append([{ partition: people, batch: rows(3, 4) }]);
      await writer.append([{ partition: people, batch: tombstone(4) }]);
      await harness.kill(first);
      const { complete, partitions } = await (await (await harness.open()).lead(never)).tail();
      expect(complete?.position).toBe('three');
      const tail = partitions.get(people);
      expect(tail?.last).toEqual({ version: versionAt(4), transactionId: transactionAt(4) });
      expect(tail?.endOffset).toBeGreaterThan(complete?.ends[people] ?? Infinity);
      expect(partitions.get(orders(0))?.last).toBeUndefined();
    });

    test('what was acknowledged survives every crash, and the successor writes on behind it', async () => {
      const harness = await start();
      for (let turn = 0; turn < 5; turn += 1) {
        const log = await harness.open();
        const writer = await log.lead(never);
        await writer.append([{ partition: people, batch: rows(turn * 2, turn * 2 + 2, { term: writer.term }) }]);
        await harness.kill(log);
      }
      const records = await collect(await harness.open(), new Map([[people, 0]]), 10);
      expect(records.map(numberOf)).toEqual(range(0, 10));
      expect(ascends(records.map(({ offset }) => offset))).toBe(true);
    });

    test('the fault points of a commit come before and after it becomes visible', async () => {
      const harness = await start();
      const log = await harness.open();
      const writer = await log.lead(never);
      const seen: string[] = [];
      for (const point of ['log:before-commit', 'log:after-commit']) {
        const note = () => seen.push(point);
        subscribe(`crossfade:${point}`, note);
        onTestFinished(() => {
          unsubscribe(`crossfade:${point}`, note);
        });
      }
      await writer.append([{ partition: people, batch: rows(0, 1) }]);
      expect(seen).toEqual(['log:before-commit', 'log:after-commit']);
    });
  });

  describe(`${name}: streams`, () => {
    test('a new stream is added to a log that has rows', async () => {
      const harness = await start();
      const first = await harness.open();
      const writer = await first.lead(never);
      await writer.append([{ partition: people, batch: rows(0, 1) }]);
      await harness.kill(first);
      const log = await harness.open({ streams: [peopleStream, ordersStream] });
      await (await log.lead(never)).append([{ partition: orders(2), batch: rows(1, 2) }]);
      expect((await log.state()).partitions.size).toBe(5);
      expect((await collect(log, new Map([[people, 0]]), 1)).map(numberOf)).toEqual([0]);
    });

    test('another number of partitions is refused with the remedy', async () => {
      const harness = await start([ordersStream]);
      const log = await harness.open();
      await (await log.lead(never)).append([{ partition: orders(3), batch: rows(0, 1) }]);
      const changed = (async () => (await harness.open({ streams: [{ topic: 'shop.orders', partitions: 8 }] })).state())();
      const error = await expectCode(changed, 'LOG_PARTITIONS_CHANGED');
      expect(error.remedy).toContain('4');
    });
  });

  describe(`${name}: reading`, () => {
    test('a reader hears of new rows by itself', async () => {
      const harness = await start();
      const reader = consume(await harness.open(), 'g');
      const writer = await (await harness.open()).lead(never);
      await until('the partition is claimed', () => reader.claims.length > 0);
      for (let n = 0; n < 5; n += 1) {
        await writer.append([{ partition: people, batch: rows(n, n + 1) }]);
        await until('the row came', () => reader.numbers().length === n + 1, 2000);
      }
      expect(reader.claims).toEqual([[people]]);
      expect(reader.deliveries.every(({ endOffset, nextOffset }) => endOffset >= nextOffset)).toBe(true);
    });

    test('it starts where the claim says, inside a stored batch too', async () => {
      const harness = await start();
      const log = await harness.open();
      await (await log.lead(never)).append([{ partition: people, batch: rows(0, 100) }]);
      const offsets = (await collect(log, new Map([[people, 0]]), 100)).map(({ offset }) => offset);
      const reader = consume(log, 'g', new Map([[people, offsets[37] ?? -1]]));
      await until('the rest came', () => reader.numbers().length >= 63);
      expect(reader.numbers()).toEqual(range(37, 100));
    });

    test('a delivery is bounded, whole batches only, and nextOffset goes on without loss or repetition', async () => {
      const harness = await start();
      const writer = await (await harness.open()).lead(never);
      for (let n = 0; n < 100; n += 10) await writer.append([{ partition: people, batch: rows(n, n + 10) }]);
      const reader = consume(await harness.open({ deliveryRecords: 25 }), 'g');
      await until('all came', () => reader.numbers().length >= 100);
      expect(reader.numbers()).toEqual(range(0, 100));
      for (const { records } of reader.deliveries) expect(records.length % 10 === 0 && records.length <= 25).toBe(true);
      const small = consume(await harness.open({ deliveryBytes: 1 }), 'h');
      await until('all came', () => small.numbers().length >= 100);
      expect(small.deliveries.map(({ records }) => records.length)).toEqual(range(0, 10).map(() => 10));
    });

    test('a backlog in one partition does not starve the others', async () => {
      const harness = await start([ordersStream]);
      const writer = await (await harness.open()).lead(never);
      for (let n = 0; n < 50; n += 1) await writer.append([{ partition: orders(0), batch: rows(n, n + 1) }]);
      await writer.append([{ partition: orders(2), batch: rows(1000, 1001) }]);
      const reader = consume(await harness.open({ deliveryRecords: 1 }), 'g');
      await until('all came', () => reader.numbers().length >= 51);
      expect(reader.numbers().indexOf(1000)).toBeLessThan(3);
    });

    test('two groups read everything, each for itself', async () => {
      const harness = await start();
      const log = await harness.open();
      const [one, two] = [consume(log, 'one'), consume(log, 'two')];
      await (await harness.open()).lead(never).then((writer) => writer.append([{ partition: people, batch: rows(0, 10) }]));
      await until('both have all', () => one.numbers().length >= 10 && two.numbers().length >= 10);
      expect([one.numbers(), two.numbers()]).toEqual([range(0, 10), range(0, 10)]);
    });

    test('two members share the partitions, and one takes over what the killed one had', async () => {
      const harness = await start([ordersStream]);
      const writer = await (await harness.open()).lead(never);
      const progress = new Map<PartitionId, number>();
      const [one, two] = [await harness.open(), await harness.open()];
      const survivor = consume(one, 'g', progress);
      const victim = consume(two, 'g', progress);
      await until('the later member has its half', () => new Set(victim.claimed).size === 2);
      await writer.append(range(0, 4).map((n) => ({ partition: orders(n), batch: rows(n, n + 1) })));
      await until('all came', () => [...survivor.numbers(), ...victim.numbers()].length >= 4);
      await until('each brought its half', () => new Set(victim.deliveries.map(({ partition }) => partition)).size === 2);
      await harness.kill(two);
      await writer.append(range(0, 4).map((n) => ({ partition: orders(n), batch: rows(n + 4, n + 5) })));
      await until('the survivor has everything new', () => range(4, 8).every((n) => survivor.numbers().includes(n)));
      // While a partition moves, both may deliver it for a moment (the sink fences the old one); nobody may miss a row.
      expect([...new Set([...survivor.numbers(), ...victim.numbers()])].sort((a, b) => a - b)).toEqual(range(0, 8));
    });

    test('a member that the group gave up claims anew before it delivers anything more', async () => {
      const harness = await start();
      const writer = await (await harness.open()).lead(never);
      const progress = new Map<PartitionId, number>();
      const reader = consume(await harness.open(), 'g', progress);
      await writer.append([{ partition: people, batch: rows(0, 1) }]);
      await until('the first came', () => reader.numbers().length === 1);
      await harness.expel('g');
      await until('claimed anew', () => reader.claims.length >= 2);
      await writer.append([{ partition: people, batch: rows(1, 2) }]);
      await until('the second came', () => reader.numbers().length >= 2);
      expect(reader.numbers()).toEqual([0, 1]);
    });

    test('a partition that went to another member and came back is claimed anew, though its reader was busy all the time', async () => {
      const harness = await start([ordersStream]);
      const writer = await (await harness.open()).lead(never);
      const progress = new Map<PartitionId, number>();
      const claims: (readonly PartitionId[])[] = [];
      const busy = (await harness.open()).read(
        'g',
        async (partitions) => {
          claims.push([...partitions]);
          return new Map(partitions.map((partition) => [partition, progress.get(partition) ?? 0]));
        },
        never,
      )[Symbol.asyncIterator]();
      await writer.append(range(0, 4).map((n) => ({ partition: orders(n), batch: rows(n, n + 1) })));
      const first = await busy.next();
      expect([claims.length, claims[0]?.length]).toEqual([1, 4]);
      const other = new Consumer(await harness.open(), 'g', progress);
      await until('the other has its half', () => other.numbers().length >= 2);
      await other.stop();
      // The target's own progress: what the other wrote, and what the busy one was handed first.
      const { partition, nextOffset } = first.value as { partition: PartitionId; nextOffset: number };
      progress.set(partition, nextOffset);
      while (progress.size < 4) {
        const { value } = (await busy.next()) as { value: { partition: PartitionId; nextOffset: number } };
        // Until it hears of the change (a sign of life later), what it delivers is what a sink would fence.
        if (claims.length === 1) continue;
        expect(progress.has(value.partition), `${value.partition} twice`).toBe(false);
        progress.set(value.partition, value.nextOffset);
      }
      expect(claims.length).toBeGreaterThan(1);
      expect(claims.at(-1)?.length).toBe(4);
      await busy.return?.();
    });

    test('a record of an older term behind a newer one is no record', async () => {
      const harness = await start();
      const log = await harness.open();
      const writer = await log.lead(never);
      await writer.append([{ partition: people, batch: rows(0, 2, { term: 5 }) }]);
      await harness.plant(people, rows(90, 92, { term: 4 }));
      await writer.append([{ partition: people, batch: rows(2, 4, { term: 5 }) }]);
      await harness.plant(people, rows(92, 93, { term: 4 }));
      await writer.append([{ partition: people, batch: rows(4, 5, { term: 6 }) }]);
      const reader = consume(log, 'g');
      await until('all came', () => reader.numbers().length >= 5);
      expect(reader.numbers()).toEqual(range(0, 5));
      expect((await collect(log, new Map([[people, 0]]), 5)).map(numberOf)).toEqual(range(0, 5));
    });

    test('readFrom gives the named partitions from the named offsets and claims nothing', async () => {
      const harness = await start([ordersStream]);
      const log = await harness.open();
      const writer = await log.lead(never);
      await writer.append(range(0, 4).map((n) => ({ partition: orders(n), batch: rows(n * 10, n * 10 + 10) })));
      const offsets = (await collect(log, new Map([[orders(1), 0]]), 10)).map(({ offset }) => offset);
      const records = await collect(log, new Map([[orders(1), offsets[4] ?? -1], [orders(3), 0]]), 16);
      expect(records.map(numberOf).sort((a, b) => a - b)).toEqual([...range(14, 20), ...range(30, 40)]);
      expect((await log.state()).groups.size).toBe(0);
    });
  });

  describe(`${name}: history`, () => {
    test('applied offsets are kept until they are forgotten', async () => {
      const harness = await start([ordersStream]);
      const log = await harness.open();
      await log.applied('g', new Map([[orders(0), 3], [orders(1), 4]]));
      await log.applied('g', new Map([[orders(0), 5]]));
      await log.applied('h', new Map([[orders(0), 1]]));
      const { groups } = await (await harness.open()).state();
      expect(groups.get('g')).toEqual(new Map([[orders(0), 5], [orders(1), 4]]));
      await log.forget('g');
      expect([...(await log.state()).groups.keys()]).toEqual(['h']);
    });

    test('reading from before the start or behind the end is an error, never a silent move', async () => {
      const harness = await start();
      const log = await harness.open();
      const writer = await log.lead(never);
      for (let n = 0; n < 10; n += 1) await writer.append([{ partition: people, batch: rows(n, n + 1) }]);
      const offsets = (await collect(log, new Map([[people, 0]]), 10)).map(({ offset }) => offset);
      await harness.truncateBelow(people, offsets[5] ?? -1);
      const end = (await log.state()).partitions.get(people)?.endOffset ?? -1;
      for (const offset of [0, offsets[4] ?? -1, end + 1]) {
        const reader = consume(log, `g${offset}`, new Map([[people, offset]]));
        await reader.ended;
        expect((reader.error as CrossfadeError).code).toBe('LOG_LOST_HISTORY');
        await expectCode(collect(log, new Map([[people, offset]]), 1), 'LOG_LOST_HISTORY');
      }
      expect((await collect(log, new Map([[people, offsets[5] ?? -1]]), 5)).map(numberOf)).toEqual(range(5, 10));
    });

    test('empty is not new: a log whose rows are gone still has its start record, its offsets and its tail', async () => {
      const harness = await start();
      const first = await harness.open();
      const writer = await first.lead(never);
      await writer.start({ position: 'begin', writtenAtMs: 1 });
      await writer.append([{ partition: people, batch: rows(0, 5) }]);
      await writer.complete({ position: 'five', throughUs: 5, writtenAtMs: 5 });
      const { logId } = await first.state();
      await harness.truncateBelow(people, (await writer.tail()).partitions.get(people)?.endOffset ?? -1);
      await harness.kill(first);
      const log = await harness.open();
      const state = await log.state();
      const partition = state.partitions.get(people);
      expect([state.logId, state.start?.position, state.complete?.position]).toEqual([logId, 'begin', 'five']);
      expect(partition?.startOffset).toBeGreaterThan(0);
      expect(partition?.startOffset).toBe(partition?.endOffset);
      const tail = await (await log.lead(never)).tail();
      expect(tail.partitions.get(people)?.last?.version).toBe(versionAt(4));
    });
  });

  describe(`${name}: ending`, () => {
    test('an abort ends read, readFrom and lead soon', async () => {
      const harness = await start();
      const log = await harness.open();
      await (await harness.open()).lead(never);
      const stop = new AbortController();
      const ended = [
        drain(log.read('g', async (partitions) => new Map(partitions.map((id) => [id, 0])), stop.signal)),
        drain(log.readFrom(new Map([[people, 0]]), stop.signal)),
        log.lead(stop.signal),
      ].map((promise) => promise.then(() => 'ended', () => 'ended'));
      await until('the group is joined', async () => (await log.state()).logId !== '');
      stop.abort();
      expect(await Promise.all(ended)).toEqual(['ended', 'ended', 'ended']);
    });

    test('disposing twice is fine, ends what runs, and everything after says so', async () => {
      const harness = await start();
      const log = await harness.open();
      const writer = await log.lead(never);
      const reader = consume(log, 'g');
      await until('claimed', () => reader.claims.length > 0);
      await log[Symbol.asyncDispose]();
      await reader.ended;
      await writer[Symbol.asyncDispose]();
      await writer[Symbol.asyncDispose]();
      await log[Symbol.asyncDispose]();
      await expectCode(log.state(), 'LOG_UNREACHABLE');
      await expectCode(writer.append([{ partition: people, batch: rows(0, 1) }]), 'LOG_UNREACHABLE');
      await (await harness.open()).lead(never);
    });

    test('a reader that is left early gives its partitions back', async () => {
      const harness = await start();
      const first = await harness.open();
      await (await first.lead(never)).append([{ partition: people, batch: rows(0, 1) }]);
      const claim = async (partitions: readonly PartitionId[]) => new Map(partitions.map((id) => [id, 0]));
      for await (const delivery of first.read('g', claim, never)) {
        expect(delivery.records.length).toBe(1);
        break;
      }
      const reader = consume(await harness.open(), 'g');
      await until('the next member has it', () => reader.numbers().length === 1);
    });

    test('a failing claim ends the reader with its own error', async () => {
      const harness = await start();
      const log = await harness.open();
      const failing = drain(log.read('g', () => Promise.reject(new RangeError('target is down')), never));
      await expect(failing).rejects.toThrow('target is down');
    });
  });
}

async function drain(deliveries: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of deliveries);
}

async function expectCode(promise: Promise<unknown>, code: ErrorCode): Promise<CrossfadeError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(CrossfadeError);
  expect((error as CrossfadeError).code).toBe(code);
  return error as CrossfadeError;
}

function ascends(numbers: readonly number[]): boolean {
  return numbers.every((number, index) => index === 0 || number > (numbers[index - 1] as number));
}
