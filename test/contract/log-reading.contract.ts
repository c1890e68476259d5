/** Delivery, groups and fences. */
import { describe, expect, onTestFinished, test } from 'vitest';
import type { PartitionId, StreamSpec } from '../../src/core/log-port.ts';
import { consume, expectCode, type MakeHarness, never, orders, ordersStream, people, startHarness } from './log-harness.ts';
import { collect, Consumer, numberOf, range, rows, until } from './log-rows.ts';

export function readingContract(name: string, makeHarness: MakeHarness): void {
  const start = (streams?: readonly StreamSpec[]) => startHarness(makeHarness, streams);

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
      await until('the first member has all', () => survivor.claims.at(-1)?.length === 4);
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

    test('a member that there is nothing for is told so: it is ready to take over, and must not look as if it hung', async () => {
      const harness = await start();
      await (await harness.open()).lead(never);
      const readers = [new Consumer(await harness.open(), 'g', new Map()), new Consumer(await harness.open(), 'g', new Map())];
      await until('both were told', () => readers.every(({ claims }) => claims.length > 0));
      const shares = () => readers.map(({ claims }) => claims.at(-1)?.length ?? -1).toSorted((a, b) => a - b);
      await until('one has the partition', () => shares().join() === '0,1');
      const [idle, busy] = readers.toSorted((a, b) => (a.claims.at(-1)?.length ?? 0) - (b.claims.at(-1)?.length ?? 0));
      await busy?.stop();
      await until('the other takes over', () => idle?.claims.at(-1)?.length === 1);
    });

    test('a partition that went to another member and came back is claimed anew, though its reader was busy all the time', async () => {
      const harness = await start([ordersStream]);
      const writer = await (await harness.open()).lead(never);
      const progress = new Map<PartitionId, number>();
      const claims: (readonly PartitionId[])[] = [];
      const claim = async (partitions: readonly PartitionId[]) => {
        claims.push([...partitions]);
        return new Map(partitions.map((partition) => [partition, { offset: progress.get(partition) ?? 0, term: 0 }]));
      };
      const log = await harness.open();
      const busy = log.read('g', claim, never)[Symbol.asyncIterator]();
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
      // The group may come together once for each change: what was the other's is claimed before it is delivered again.
      await writer.append(range(0, 4).map((n) => ({ partition: orders(n), batch: rows(n + 4, n + 5) })));
      while (claims.at(-1)?.length !== 4) await busy.next();
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

    test('a reader that starts behind a newer leader still takes nothing of the older one', async () => {
      const harness = await start();
      const log = await harness.open();
      const writer = await log.lead(never);
      await writer.append([{ partition: people, batch: rows(0, 2, { term: 5 }) }]);
      const [, second] = await collect(log, new Map([[people, 0]]), 2);
      const from = (second?.offset ?? 0) + 1;
      await harness.plant(people, rows(90, 92, { term: 4 }));
      await writer.append([{ partition: people, batch: rows(2, 4, { term: 5 }) }]);
      const reader = new Consumer(log, 'g', new Map([[people, from]]), 5);
      onTestFinished(() => reader.stop());
      await until('the rest came', () => reader.numbers().length >= 2);
      expect(reader.numbers()).toEqual([2, 3]);
    });

    test('a delivery without records moves only nextOffset: a reader that has all that counts comes to the end', async () => {
      const harness = await start();
      const log = await harness.open();
      const writer = await log.lead(never);
      await writer.append([{ partition: people, batch: rows(0, 2, { term: 5 }) }]);
      const reader = consume(log, 'g');
      const end = async () => (await log.state()).partitions.get(people)?.endOffset;
      const atEnd = () => until('the end', async () => reader.deliveries.at(-1)?.nextOffset === (await end()));
      await atEnd();
      const before = await end();
      await harness.plant(people, rows(90, 92, { term: 4 }));
      expect(await end()).toBeGreaterThan(before ?? Infinity);
      await atEnd();
      expect(reader.deliveries.at(-1)).toMatchObject({ partition: people, records: [] });
      expect(reader.numbers()).toEqual([0, 1]);
    });

    test('offsets without a record: nothing is lost or repeated, whether they lie before, between or behind the records', async () => {
      const harness = await start();
      const log = await harness.open();
      const writer = await log.lead(never);
      for (let n = 0; n < 6; n += 2) {
        await harness.gap?.(people);
        await writer.append([{ partition: people, batch: rows(n, n + 2, { term: writer.term }) }]);
        await harness.gap?.(people);
      }
      const all = await collect(log, new Map([[people, 0]]), 6);
      expect(all.map(numberOf)).toEqual(range(0, 6));
      const { endOffset = 0, last } = (await log.state()).partitions.get(people) ?? {};
      expect(last).toMatchObject({ offset: all.at(-1)?.offset, term: writer.term, version: all.at(-1)?.version });
      for (let from = 0; from <= endOffset; from += 1) {
        const reader = new Consumer(log, `g${from}`, new Map([[people, from]]), writer.term);
        const wanted = all.filter(({ offset }) => offset >= from);
        const first = wanted[0];
        expect((await log.at(people, from))?.offset).toBe(first?.offset);
        await until('the end', () => from === endOffset || reader.deliveries.at(-1)?.nextOffset === endOffset);
        expect(reader.numbers()).toEqual(wanted.map(numberOf));
        await reader.stop();
      }
    });

    test('at gives the first record from an offset on, inside a stored batch too, and never waits', async () => {
      const harness = await start();
      const log = await harness.open();
      const writer = await log.lead(never);
      expect(await log.at(people, 0)).toBeUndefined();
      for (let n = 0; n < 20; n += 10) await writer.append([{ partition: people, batch: rows(n, n + 10) }]);
      const all = await collect(log, new Map([[people, 0]]), 20);
      for (const { offset, version, term, committedAtUs } of all)
        expect(await log.at(people, offset)).toMatchObject({ offset, version, term, committedAtUs });
      const { endOffset = -1 } = (await log.state()).partitions.get(people) ?? {};
      expect(await log.at(people, endOffset)).toBeUndefined();
      expect(await log.at(people, endOffset + 5)).toBeUndefined();
      await harness.truncateBelow(people, all[10]?.offset ?? -1);
      await expectCode(log.at(people, all[9]?.offset ?? -1), 'LOG_LOST_HISTORY');
      expect((await log.at(people, all[10]?.offset ?? -1))?.version).toBe(all[10]?.version);
    });

    test('readFrom gives the named partitions from the named offsets and claims nothing', async () => {
      const harness = await start([ordersStream]);
      const log = await harness.open();
      const writer = await log.lead(never);
      await writer.append(range(0, 4).map((n) => ({ partition: orders(n), batch: rows(n * 10, n * 10 + 10) })));
      const offsets = (await collect(log, new Map([[orders(1), 0]]), 10)).map(({ offset }) => offset);
      const records = await collect(
        log,
        new Map([
          [orders(1), offsets[4] ?? -1],
          [orders(3), 0],
        ]),
        16,
      );
      expect(records.map(numberOf).sort((a, b) => a - b)).toEqual([...range(14, 20), ...range(30, 40)]);
      expect((await log.state()).groups.size).toBe(0);
    });
  });
}
